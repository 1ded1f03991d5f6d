"""HL7 v2 messages: CDA documents in MDM and ORU, persons in ADT; a small tolerant parser.

`read` takes what the French «CDA en HL7 v2» messages bring: initial, replacement, deletion, and
who may see the document. Consent in admissions is not read.
"""

from carnet.intake.hl7v2.reader import read

__all__ = ["read"]
