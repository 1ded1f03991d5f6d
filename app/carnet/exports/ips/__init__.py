"""The International Patient Summary: a FHIR R4 document made of what a record holds.

Nothing is added to what was stated. What FHIR requires and nobody stated is marked as unknown
(data-absent-reason); what has no code is given in words; what was refuted is left out, for readers
that look at codes only would take it for a fact.

Source: HL7 FHIR R4 (4.0.1); International Patient Summary Implementation Guide, hl7.fhir.uv.ips.
"""

from carnet.exports.ips.bundle import bundle

__all__ = ["bundle"]
