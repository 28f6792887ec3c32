"""The page of integrations: one file, no script, nothing loaded from elsewhere."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; }
h1, h2 { line-height: 1.2; }
section { border-top: 1px solid var(--line); margin-top: 2rem; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; padding: .5rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { background: var(--soft); border-radius: .3rem; overflow-x: auto; padding: .5rem; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid var(--line); padding: .2rem .8rem .2rem 0; text-align: left; }
.badge { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .5rem; }
.open { background: #c33; color: #fff; }
.half_open { background: #b70; color: #fff; }
.closed { background: #182; color: #fff; }
"""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style | safe }}</style>
</head>
<body>
<h1>{{ title }}</h1>
{% if not integrations %}<p>This service uses no integrations.</p>{% endif %}
{% for integration in integrations %}
<section>
<h2>{{ integration.name }}</h2>
<p>{{ integration.doc }}</p>
<p><code>{{ integration.base_url }}</code>
{% if integration.authentication %}
<span class="badge">{{ integration.authentication }}</span>
{% endif %}
</p>
{% if integration.circuits %}
<table>
<thead><tr><th>Circuit</th><th>State</th><th>Calls</th><th>Failures</th></tr></thead>
<tbody>
{% for circuit in integration.circuits %}
<tr><td><code>{{ circuit.name }}</code></td>
<td><span class="badge {{ circuit.state }}">{{ circuit.state | replace("_", "-") }}</span></td>
<td>{{ circuit.calls }}</td><td>{{ circuit.failures }}</td></tr>
{% endfor %}
</tbody>
</table>
{% endif %}
{% for endpoint in integration.endpoints %}
<details>
<summary><code>{{ endpoint.method }} {{ endpoint.path }}</code> {{ endpoint.name }}
{% if endpoint.version %}<span class="badge">{{ endpoint.version }}</span>{% endif %}
{% for pattern in endpoint.patterns %}
<span class="badge {{ pattern.state | default('') }}">{{ pattern.pattern }}</span>
{% endfor %}
</summary>
<p>{{ endpoint.doc }}</p>
{% if endpoint.docurl %}
<p><a href="{{ endpoint.docurl }}" rel="noreferrer">Documentation</a></p>
{% endif %}
{% if endpoint.parameters %}
<table>
<thead><tr><th>Parameter</th><th>Type</th><th>Required</th></tr></thead>
<tbody>
{% for parameter in endpoint.parameters %}
<tr><td><code>{{ parameter.name }}</code></td><td><code>{{ parameter.type }}</code></td>
<td>{{ "yes" if parameter.required else "no" }}</td></tr>
{% endfor %}
</tbody>
</table>
{% endif %}
<h3>Response</h3>
<pre>{{ endpoint.response | pretty }}</pre>
{% for status, schema in endpoint.errors.items() %}
<h3>{{ status }}</h3>
<pre>{{ schema | pretty }}</pre>
{% endfor %}
{% if endpoint.patterns %}
<h3>Stability patterns</h3>
<pre>{{ endpoint.patterns | pretty }}</pre>
{% endif %}
</details>
{% endfor %}
</section>
{% endfor %}
</body>
</html>
"""
