"""Prints the samples in a text in Prometheus' format as JSON, by Prometheus' own parser for Python."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = text_string_to_metric_families(sys.stdin.read())
json.dump(
    [
        {"name": family.name, "type": family.type, "help": family.documentation,
         "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples]}
        for family in families
    ],
    sys.stdout,
)
