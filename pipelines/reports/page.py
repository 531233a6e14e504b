"""``report.html``: the report as one self-contained page; no scripts, nothing loaded from elsewhere."""

from jinja2 import Environment

from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.text import report_text
from stepforge.pipelines.storage.store import AnyPath, write_text

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>stepforge: {{ name }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; padding: .25rem .75rem; border-bottom: 1px solid #ddd; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.bar { display: inline-block; height: .7rem; background: #4269d0; vertical-align: middle; }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto; }
</style>
</head>
<body>
<h1>{{ name }}</h1>
<h2>Labels against the oracle</h2>
<table>
<tr><th>labeler</th><th>first error, exact</th><th></th><th>right solutions left clean</th><th>F1</th>
<th>abstained</th><th>tokens per correct first error</th></tr>
{% for labeler, f in report.labelers.items() %}
<tr><td>{{ labeler }}</td><td class="n">{{ f.first_error_accuracy | figure }}</td>
<td><span class="bar" style="width: {{ ((f.first_error_accuracy or 0) * 120) | round }}px"></span></td>
<td class="n">{{ f.correct_solution_accuracy | figure }}</td><td class="n">{{ f.processbench_f1 | figure }}</td>
<td class="n">{{ f.abstained_share | figure }}</td>
<td class="n">{{ f.generated_tokens_per_correct_first_error | figure }}</td></tr>
{% endfor %}
</table>
<h2>Everything else</h2>
<pre>{{ text }}</pre>
</body>
</html>
"""


def write_page(folder: AnyPath, report: Report) -> AnyPath:
    """Write the page beside ``report.json`` and return its path."""
    from stepforge.pipelines.reports.text import figure

    environment = Environment(autoescape=True)
    environment.filters["figure"] = figure
    page = environment.from_string(_PAGE).render(name=folder.name, report=report, text=report_text(report, folder))
    path = folder / "report.html"
    write_text(path, page)
    return path
