"""CDA R2: documents of the French CI-SIS first; C-CDA and IHE at header and entry level.

`read` keeps every document whole and takes out of it only what is certain.
"""

from carnet.intake.cda.reader import read

__all__ = ["read"]
