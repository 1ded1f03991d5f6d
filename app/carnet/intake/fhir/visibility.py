"""Who may not see: French visibility labels among FHIR security labels.

Source: ANS, TRE_A07-StatusVisibiliteDocument (1.2.250.1.213.1.1.4.13), part of JDV_J08.
"""

from __future__ import annotations

from collections.abc import Iterable

from carnet.intake.fhir.datatypes import Element, child, children, codes, token

MASKED = "MASQUE_PS"
HIDDEN_FROM_HOLDER = "INVISIBLE_PATIENT"
HIDDEN_FROM_REPRESENTATIVES = "INVISIBLE_REPRESENTANTS_LEGAUX"
CODES_LIMIT = 20  # labels of one document

_LABELS = {
    MASKED: MASKED,
    HIDDEN_FROM_HOLDER: HIDDEN_FROM_HOLDER,
    HIDDEN_FROM_REPRESENTATIVES: HIDDEN_FROM_REPRESENTATIVES,
    "INVISIBLE_REP_LEGAUX": HIDDEN_FROM_REPRESENTATIVES,  # as hospital software shortens it
}


def visibility(labels: Iterable[str]) -> frozenset[str]:
    """Return the visibility labels among codes, whatever system they are said to be of."""
    return frozenset(_LABELS[code] for code in labels if code in _LABELS)


def meta_labels(resource: Element) -> list[str]:
    """Return the codes of ``meta.security``."""
    meta = child(resource, "meta") or {}
    return [code for item in children(meta, "security") if (code := token(item, "code"))]


def security_labels(resource: Element) -> list[str]:
    """Return the codes of ``securityLabel`` in their order, then those of ``meta.security``."""
    found: list[str] = []
    for concept in children(resource, "securityLabel"):
        found += sorted(codes(concept))
    return list(dict.fromkeys([*found, *meta_labels(resource)]))
