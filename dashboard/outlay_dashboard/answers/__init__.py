"""What the collector's HTTP API answers, read into Python: a module for each thing that is asked about.

Amounts become `Decimal`, times aware `datetime`s, and what the API does not know stays None. A reader raises
`KeyError`, `TypeError` or `ValueError` where an answer lacks what it should hold; `client` makes one error of them.
"""
