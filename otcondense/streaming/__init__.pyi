from .choice import StreamChoice as StreamChoice
from .config import StreamConfig as StreamConfig
from .config import StreamSettings as StreamSettings
from .selector import StreamSelector as StreamSelector
from .state import StreamState as StreamState

__all__ = ["StreamChoice", "StreamConfig", "StreamSelector", "StreamSettings", "StreamState"]
