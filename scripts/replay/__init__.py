"""Recorded exchanges, played through the real SDKs with Outlay on: what `recordings_replay.py` is made of.

`recording` reads them, `drivers` has a file for each SDK that says how it is made to send a recorded request, `stage`
is what surrounds a play (the server that answers, the collector that takes the span), `verdict` compares.
"""
