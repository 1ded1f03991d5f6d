"""The XDS format code of a CDA document, which follows from the templates it claims. Pure.

Source: CI-SIS, «ASS_A11 templateId → formatCode»; IHE ITI XDS-SD; HL7 C-CDA value set
«HL7 Document Format Codes».
"""

from __future__ import annotations

from collections.abc import Collection

_CI_SIS = "1.2.250.1.213.1.1.1."
_BY_VOLET = {
    "5.1": "urn:asip:ci-sis:cse-cs8:2017",
    "5.2": "urn:asip:ci-sis:cse-cs9:2017",
    "5.3": "urn:asip:ci-sis:cse-cs24:2017",
    "5.4": "urn:ans:ci-sis:cse-mde:2023",
    "8": "urn:asip:ci-sis:frcp:2011",
    "9": "urn:asip:ci-sis:idap:2011",
    "10": "urn:asip:ci-sis:cva:2017",
    "12.1": "urn:asip:ci-sis:obp-sap:2023",
    "12.2": "urn:asip:ci-sis:obp-snm:2023",
    "12.3": "urn:asip:ci-sis:obp-sne:2023",
    "12.4": "urn:asip:ci-sis:obp-scm:2023",
    "12.5": "urn:asip:ci-sis:obp-sem:2023",
    "13": "urn:asip:ci-sis:vsm:2012",
    "15": "urn:asip:ci-sis:aunv:2013",
    "16": "urn:asip:ci-sis:eunv:2013",
    "17": "urn:asip:ci-sis:sunv:2013",
    "18": "urn:asip:ci-sis:crrtn:2013",
    "2.1.1": "urn:asip:ci-sis:avk:2009",
    "2.1.2": "urn:asip:ci-sis:tap:2009",
    "2.1.3": "urn:asip:ci-sis:dci:2009",
    "2.1.4": "urn:asip:ci-sis:psc:2009",
    "2.1.5": "urn:asip:ci-sis:ppv:2009",
    "20": "urn:asip:ci-sis:pps-paerpa:2017",
    "21": "urn:asip:ci-sis:ldl-ees:2017",
    "22": "urn:asip:ci-sis:dlu:2015",
    "23": "urn:asip:ci-sis:fludt:2017",
    "24": "urn:asip:ci-sis:fludr:2017",
    "25": "urn:asip:ci-sis:pavc:2016",
    "26": "urn:asip:ci-sis:pps-cancer:2017",
    "27": "urn:asip:ci-sis:d2lm-fin:2017",
    "28": "urn:asip:ci-sis:d2lm-fidd:2017",
    "29": "urn:asip:ci-sis:ldl-ses:2017",
    "30": "urn:asip:ci-sis:sdm-mr:2017",
    "32": "urn:asip:ci-sis:crgm:2018",
    "36": "urn:asip:ci-sis:hr:2019",
    "37": "urn:asip:ci-sis:vac:2019",
    "38": "urn:asip:ci-sis:tlm-da:2020",
    "39": "urn:ihe:pharm:pre:2010",
    "40": "urn:asip:ci-sis:cr-anest:2020",
    "41": "urn:asip:ci-sis:cr-cpa:2020",
    "42": "urn:ihe:eyecare:geneyeevalcn:2014",
    "43": "urn:ihe:eyecare:geneyeevalcn:2014",
    "44": "urn:ihe:eyecare:geneyeevalcn:2014",
    "45": "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013",
    "46": "urn:asip:ci-sis:vac-note:2021",
    "47": "urn:ans:ci-sis:img-da:2022",
    "48": "urn:asip:ci-sis:dlu-dlu-dom:2022",
    "49": "urn:asip:ci-sis:dlu-fludt-dom:2022",
    "50": "urn:asip:ci-sis:dlu-fludr-dom:2022",
    "51": "urn:ihe:pcc:ips:2020",
    "52": "urn:ans:ci-sis:bio-ep-bio:2022",
    "54": "urn:ihe:pharm:dis:2010",
    "55": "urn:ihe:lab:xd-lab:2008",
    "56": "urn:asip:ci-sis:ppp:2023",
    "57": "urn:ihe:palm:apsr:2016",
    "58": "urn:asip:ci-sis:export-dui:2023",
}
"""By what follows the root of the French content templates («volets»)."""

_XD_LAB = "1.3.6.1.4.1.19376.1.3.3"
_XDS_SD = "1.3.6.1.4.1.19376.1.2.20"
_SCANNED = {
    "application/pdf": "urn:ihe:iti:xds-sd:pdf:2008",
    "text/plain": "urn:ihe:iti:xds-sd:text:2008",
    "image/jpeg": "urn:ihe:iti-fr:xds-sd:jpeg:2010",
    "image/tiff": "urn:ihe:iti-fr:xds-sd:tiff:2010",
    "application/rtf": "urn:ihe:iti-fr:xds-sd:rtf:2010",
    "text/rtf": "urn:ihe:iti-fr:xds-sd:rtf:2010",
}
_CCDA = "2.16.840.1.113883.10.20.22.1."
_CCDA_UNSTRUCTURED = f"{_CCDA}10"


def format_code(templates: Collection[str], body_media_type: str | None) -> str | None:
    """Return the format code, or None when no template is known.

    Args:
        templates: what the document claims to follow.
        body_media_type: the type of its unstructured body, or None when it is structured.
    """
    for template in templates:
        volet = template.removeprefix(_CI_SIS)
        if volet != template and volet in _BY_VOLET:
            return _BY_VOLET[volet]
    if _XD_LAB in templates:
        return "urn:ihe:lab:xd-lab:2008"
    if _XDS_SD in templates and body_media_type is not None:
        return _SCANNED.get(body_media_type)
    if _CCDA_UNSTRUCTURED in templates:
        return "urn:hl7-org:sdwg:ccda-nonXMLBody:1.1"
    if any(template.startswith(_CCDA) for template in templates):
        return "urn:hl7-org:sdwg:ccda-structuredBody:1.1"
    return None
