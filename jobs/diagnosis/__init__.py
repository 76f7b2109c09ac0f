"""What `python -m jobs.doctor` looks at, one group of findings a module."""

from jobs.diagnosis.cluster import look_at_ray
from jobs.diagnosis.finding import Finding, Verdict
from jobs.diagnosis.machine import look_at_machine
from jobs.diagnosis.storage import look_at_storage

__all__ = ["Finding", "Verdict", "look_at_machine", "look_at_ray", "look_at_storage"]
