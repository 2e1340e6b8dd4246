"""Tokens (JWT) of an identity provider: whose they are, checked with the provider's public keys."""

from serve.access.tokens.checks import check_token_settings
from serve.access.tokens.issuer import read_keys
from serve.access.tokens.public_keys import Unreadable
from serve.access.tokens.ring import KeyRing
from serve.access.tokens.verifying import TokenReader, token_reader

__all__ = ["KeyRing", "TokenReader", "Unreadable", "check_token_settings", "read_keys", "token_reader"]
