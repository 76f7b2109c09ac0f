from .choice import StreamChoice as StreamChoice
from .config import StreamConfig as StreamConfig
from .selector import StreamSelector as StreamSelector

__all__ = ["StreamChoice", "StreamConfig", "StreamSelector"]
