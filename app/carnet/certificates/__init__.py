"""Signed certificates as evidence of vaccination: EU COVID certificates, SMART Health Cards."""
