"""The pages of the book that are derived from the program: the HTTP reference from the OpenAPI document, the table of
metrics from their names. Nothing is asserted here."""

import json
import re

from documents import SOURCE
from operators import NAMES

HTTP = SOURCE / "http-reference.md"
METRICS = SOURCE / "metrics.md"
BEGIN, END = "<!-- metrics: made by tests/interop/references.py -->", "<!-- end -->"

HEAD = """# HTTP reference

<!-- Made by tests/interop/references.py from /openapi.json. CONTRIBUTING.md says how to make it anew. -->

"""


# --- metrics


def metrics_page(text):
    """The page with its table of all metrics made anew."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{metrics_table()}{END}{after}"


def metrics_table():
    groups = {m[1]: m[2] for m in re.finditer(r"const (\w+): &\[&str\] = &\[(.*?)\];", NAMES)}
    declared = re.finditer(r'= (counter|gauge|histogram)\("(\w+)", (&\[.*?\]|\w+),\s*(?:\w+,\s*)?"(.*?)"\);', NAMES)
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for kind, name, labels, words in (m.groups() for m in declared):
        found = re.findall(r'"(\w+)"', groups.get(labels, labels))
        lines.append(f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in found)} | {cell(words)} |")
    return "\n".join(lines) + "\n"


# --- HTTP


def http_page(document):
    parts = [HEAD, paragraph(document["info"]["description"])]
    parts.append(f"{security_text(document['security']).rstrip().rstrip('.')}, except where an endpoint says otherwise.\n\n")
    operations = [
        (tag, method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        for tag in operation["tags"]
    ]
    for tag in document["tags"]:
        parts.append(f"## Endpoints: {tag['name']}\n\n{paragraph(tag['description'])}")
        parts += [operation_text(*rest) for name, *rest in operations if name == tag["name"]]
    parts.append("## On every path\n\n")
    parts += [answers_text({name_status(name): answer for name, answer in document["components"]["responses"].items()})]
    parts.append("## Ways to be known\n\n" + table(("scheme", ""), [
        (f"`{name}`", cell(scheme["description"])) for name, scheme in document["components"]["securitySchemes"].items()
    ]))
    parts.append("## Schemas\n\n")
    parts += [schema_text(name, schema) for name, schema in document["components"]["schemas"].items()]
    return "".join(parts).rstrip("\n") + "\n"


def name_status(name):
    """Responses for any path are named by their status."""
    return {"NotFound": "404", "MethodNotAllowed": "405"}.get(name, name)


def operation_text(method, path, operation):
    parts = [f"### {method} {path}\n\n", paragraph(operation["summary"]), paragraph(operation.get("description", ""))]
    parts.append(security_text(operation.get("security")))
    parameters = [
        (f"`{it['name']}`", it["in"], kind(it["schema"]), cell(needed(it.get("description", ""), it.get("required"))))
        for it in operation.get("parameters", [])
    ]
    if parameters:
        parts.append(table(("parameter", "in", "type", "meaning"), parameters))
    bodies = operation.get("requestBody", {}).get("content", {})
    if bodies:
        parts.append(table(("body", "type"), [(f"`{media}`", kind(body.get("schema", {}))) for media, body in bodies.items()]))
        parts += [f"For example:\n\n```text\n{example}\n```\n\n" for example in examples(bodies)]
    parts.append(answers_text(operation["responses"]))
    return "".join(parts)


def examples(bodies):
    found = [body["example"] for body in bodies.values() if "example" in body]
    return [json.dumps(example) for example in found]


def security_text(security):
    if security is None:
        return ""
    ways = [" and ".join(f"`{name}`" for name in way) for way in security if way]
    if not ways:
        return "Callers need not show anything.\n\n"
    otherwise = " or, while no keys are configured, nothing" if {} in security else ""
    return f"Callers show {' or '.join(ways)}{otherwise}.\n\n"


def answers_text(responses):
    rows = []
    for status, answer in responses.items():
        schemas = [kind(body.get("schema", {})) for body in answer.get("content", {}).values()]
        headers = ", ".join(f"`{name}`" for name in answer.get("headers", {}))
        rows.append((status, ", ".join(schemas), headers, cell(answer["description"])))
    return table(("status", "body", "headers", "meaning"), rows)


def schema_text(name, schema):
    parts = [f"### {name}\n\n", paragraph(schema.get("description", ""))]
    properties = schema.get("properties")
    if properties:
        required = schema.get("required", [])
        rows = [
            (f"`{member}`", kind(inner), cell(needed(words(inner), member in required)))
            for member, inner in properties.items()
        ]
        parts.append(table(("member", "type", "meaning"), rows))
    else:
        parts.append(f"{kind(schema)}\n\n")
    for example in schema.get("examples", []):
        parts.append(f"For example:\n\n```text\n{json.dumps(example, ensure_ascii=False)}\n```\n\n")
    return "".join(parts)


def words(schema):
    """What is said of a member, here or one step inside."""
    inner = [schema, *schema.get("anyOf", []), *schema.get("oneOf", [])]
    return next((it["description"] for it in inner if "description" in it), "")


def needed(text, required):
    return f"Required. {text}".strip() if required else text


def kind(schema):
    """The type of a value, on a line."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "type" not in schema:
        parts = [kind(part) for key in ("anyOf", "oneOf") for part in schema.get(key, [])]
        # A refusal is a Problem with fewer codes.
        parts += [kind(part) for part in schema.get("allOf", []) if "$ref" in part]
        return " or ".join(dict.fromkeys(parts)) or "any JSON"
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if types == ["array"]:
        return f"array of {kind(schema.get('items', {}))}"
    text = " or ".join(types)
    if schema.get("format") in ("date-time", "uri", "uri-reference"):
        text += f" ({schema['format']})"
    return text + bounds(schema)


def bounds(schema):
    least, most, default = (schema.get(name) for name in ("minimum", "maximum", "default"))
    text = f", at least {least}" if least else ""
    if most is not None:
        text = f", {least or 0} to {most}"
    return text + (f"; {json.dumps(default)} by default" if default is not None else "")


# --- Markdown


def paragraph(text):
    # rustdoc wants product names as code, and the document is made of its comments.
    text = re.sub(r"`(CloudEvents?|EventBridge)`", r"\1", text)
    return f"{text.strip()}\n\n" if text.strip() else ""


def cell(text):
    return " ".join(paragraph(text).split()).replace("|", "\\|")


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n\n"
