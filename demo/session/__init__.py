"""Who holds which model: the engine's interface, the lab, visitors, jobs, limits, verdicts.

Must not import tabs.
"""
