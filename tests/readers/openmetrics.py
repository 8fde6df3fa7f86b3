"""Reads OpenMetrics with Prometheus' own parser, which refuses what the specification does not allow: from the URL in the first
argument, as Prometheus asks for it. Prints a JSON object: of each family its name, type and samples (name, labels, value)."""

import json
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

KIND = "application/openmetrics-text; version=1.0.0; charset=utf-8"

request = urllib.request.Request(sys.argv[1], headers={"Accept": KIND})
with urllib.request.urlopen(request, timeout=10) as response:
    kind, text = response.headers["Content-Type"], response.read().decode()
if kind != KIND:
    sys.exit(f"Content-Type is {kind}")
families = {
    family.name: {
        "type": family.type,
        "unit": family.unit,
        "help": family.documentation,
        "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
    }
    for family in text_string_to_metric_families(text)
}
json.dump(families, sys.stdout)
