"""The durable folder of a model: samples, request ledger, receipts, repair, and the proof and verification of what it did.

Must not import audits, benchmarks or the command line.
"""
