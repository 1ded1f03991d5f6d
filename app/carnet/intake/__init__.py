"""Area: the publishers' way in. Readers (FHIR, CDA, HL7 v2) and the landing of what they read."""
