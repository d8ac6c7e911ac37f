"""Rules over what LLM calls cost and how they fare: judged, followed through their life, and told to people.

config, rules/, defaults     what is judged, as written in outlay.toml: one kind of rule a file
measurements, verdict        what a rule reads, and what it says
lifecycle, alert, evaluate   what its verdicts change: pure, `now` is an argument
records                      what must be durable: the protocols a database keeps
silence, message, channels, dispatch    who is told, what, and how often
timeline                     rules tested by those who write them
"""
