"""The prevention calendar: versioned schedules, and what they ask of one person.

Pure: `engine.assess` takes facts, a schedule and a day, and touches no clock and no database.
The terms are those of the CDC's Logic Specification for Immunization Decision Support (CDSi).
"""
