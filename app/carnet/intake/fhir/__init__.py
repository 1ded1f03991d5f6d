"""The reader of FHIR R4 in JSON: any resource alone, or any Bundle. Pure: see `intake.model`.

Longer texts than Carnet keeps are cut and end in «…»; longer identifiers, codes and addresses
than real ones are refused, because a cut one would mean something else.
"""

from carnet.intake.fhir.bundle import read

__all__ = ["read"]
