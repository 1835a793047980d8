//! The schema of a channel that is made by API: the settings of `[[channel]]` as they are declared, without
//! the name, which is in the path.

use serde_json::{Map, Value, json};

use crate::arn::ARN_MAX_CHARS;
use crate::config::{About, Shape, sections};

/// The schema.
pub fn definition() -> Value {
    let channel = sections().into_iter().find(|it| it.name == "channel");
    let settings = channel.map(|it| it.settings).unwrap_or_default();
    let settings = settings.iter().filter(|about| about.key != "name");
    let properties: Map<String, Value> = settings
        .map(|about| (about.key.to_owned(), setting(about)))
        .collect();
    let arn = "arn:aws:ivs:us-west-2:000000000000:channel/quiz";
    json!({
        "description": "A channel: its ARN, and what is to differ from `channel_defaults`.",
        "type": "object", "required": ["arn"], "additionalProperties": false, "properties": properties,
        "examples": [{"arn": arn, "ttl_ms": 5000}],
    })
}

fn setting(about: &About) -> Value {
    let mut schema = match about.key {
        "arn" => json!({
            "type": "string", "maxLength": ARN_MAX_CHARS,
            "pattern": "^arn:aws:ivs:[a-z0-9-]+:[0-9]+:channel/[a-zA-Z0-9-]+$",
        }),
        _ => shape(&about.shape),
    };
    schema["description"] = json!(about.doc.replace('\n', " "));
    schema
}

fn shape(of: &Shape) -> Value {
    match of {
        Shape::Integer { least, most } => {
            let bound = |number: &i128| i64::try_from(*number).ok();
            json!({"type": "integer", "minimum": bound(least), "maximum": bound(most)})
        }
        Shape::Share => json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Words(words) => json!({"enum": words}),
        Shape::Text { .. } => json!({"type": "string"}),
        Shape::List(element) => json!({"type": "array", "items": shape(element)}),
    }
}
