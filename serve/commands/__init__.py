"""The sub-commands that talk to a person: one file each. Bodies import what they need when they run."""

from serve.commands.ask import ask
from serve.commands.config import config
from serve.commands.doctor import doctor
from serve.commands.feedback import app as feedback_app
from serve.commands.keys import app as keys_app
from serve.commands.mcp import mcp
from serve.commands.model import model
from serve.commands.search import search
from serve.commands.serve import serve
from serve.commands.size import size
from serve.commands.up import up

__all__ = ["ask", "config", "doctor", "feedback_app", "keys_app", "mcp", "model", "search", "serve", "size", "up"]
