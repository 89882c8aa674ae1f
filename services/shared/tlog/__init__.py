"""The transparency log's formats: RFC 6962 trees, C2SP tiles, signed notes, checkpoints, cosignatures and proofs.

Standard library and `cryptography` only, and nothing else of this program: the verifier that auditors run alone is
made of this folder and `services/verifier`.
"""
