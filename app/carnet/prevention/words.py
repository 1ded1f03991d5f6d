"""What holders are told to do next, by the kind of a rule. Information, and no medical advice."""

from __future__ import annotations

from carnet.calendar.items import Item, ItemStatus
from carnet.calendar.rules import Kind, Words

NEXT = {
    Kind.VACCINATION: Words(
        "Parlez-en à votre médecin, à une sage-femme, à un infirmier ou à un pharmacien : ils"
        " peuvent prescrire ce vaccin et le faire.",
        "Talk to your doctor, a midwife, a nurse or a pharmacist: they can prescribe the vaccine"
        " and give it.",
    ),
    Kind.SCREENING: Words(
        "Présentez l'invitation au dépistage, ou parlez-en à votre médecin ou à une sage-femme.",
        "Take the invitation to the screening, or talk to your doctor or a midwife.",
    ),
    Kind.CHECK_UP: Words(
        "Prenez rendez-vous pour ce bilan chez un médecin, une sage-femme, un infirmier ou un"
        " pharmacien.",
        "Make an appointment for this check-up with a doctor, a midwife, a nurse or a pharmacist.",
    ),
    Kind.CHILD_EXAMINATION: Words(
        "Prenez rendez-vous chez le médecin qui suit l'enfant, avec son carnet de santé.",
        "Make an appointment with the doctor who follows the child.",
    ),
    Kind.DENTAL: Words(
        "Prenez rendez-vous chez un chirurgien-dentiste.",
        "Make an appointment with a dentist.",
    ),
    Kind.MATERNITY: Words(
        "Prenez rendez-vous chez la sage-femme ou le médecin qui suit la grossesse.",
        "Make an appointment with the midwife or doctor who follows the pregnancy.",
    ),
}


def next_step(item: Item) -> Words | None:
    """Return what to do next, or None where nothing is."""
    if item.status is ItemStatus.SUSPENDED and item.rule.suspension is not None:
        return item.rule.suspension.advice
    return NEXT[item.rule.kind] if item.status is ItemStatus.NOT_COMPLETE else None
