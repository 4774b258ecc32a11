"""The data of a report, before anything is drawn."""
