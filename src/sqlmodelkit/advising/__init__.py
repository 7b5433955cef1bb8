"""What a request costs the database, and which index would make it cost less. Ring 11.

Start at `explain_url` and `advise`.
"""

from .indexes import IndexAdvice, indexed
from .plans import advise
from .requests import Answered, explain_url
from .sending import Sent, capturing

__all__ = ["Answered", "IndexAdvice", "Sent", "advise", "capturing", "explain_url", "indexed"]
