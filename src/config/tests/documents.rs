//! The documents that are derived from the settings, and the shipped file, which repeats them.
//!
//! `CUEGATE_REWRITE=1 cargo test -p cuegate --lib documents` writes the derived ones anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::config::DEFAULT_FILE;
use crate::config::catalog::{SectionAbout, sections};
use crate::config::describe::toml;
use crate::config::kinds::Shape;
use crate::config::setting::{About, Effect};

const REWRITE: &str = "CUEGATE_REWRITE";

/// Compares a committed file with what it is derived to, or writes it.
fn check_derived(name: &str, derived: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, derived).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == derived,
        "{name} is not what the settings say: run {REWRITE}=1 cargo test -p cuegate --lib documents"
    );
}

#[test]
fn the_reference_page() {
    check_derived("docs/src/settings.md", &page());
}

#[test]
fn the_schema_for_editors() {
    let mut schema = serde_json::to_string_pretty(&schema()).expect("JSON");
    schema.push('\n');
    check_derived("docs/cuegate.schema.json", &schema);
}

/// Sections and keys of the shipped file, each with the comment above it and its value.
fn shipped() -> BTreeMap<(String, String), (String, String)> {
    let text = std::fs::read_to_string(DEFAULT_FILE).expect("the shipped file");
    let (mut found, mut section, mut comment) = (BTreeMap::new(), String::new(), Vec::new());
    for line in text.lines() {
        // A line that begins with # and no space is an example.
        let code = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
        let code = code.unwrap_or(line);
        if let Some(words) = code.strip_prefix("# ") {
            comment.push(words);
            continue;
        }
        if code.starts_with('[') {
            code.trim_matches(['[', ']']).clone_into(&mut section);
        } else if let Some((key, value)) = code.split_once(" = ") {
            let text = (comment.join(" "), value.to_owned());
            found
                .entry((section.clone(), key.to_owned()))
                .or_insert(text);
        }
        comment.clear();
    }
    found
}

#[test]
fn the_shipped_file_has_every_key_with_its_text_and_default() {
    let mut shipped = shipped();
    for section in &sections() {
        for about in &section.settings {
            let key = (section.name.to_owned(), about.key.to_owned());
            let found = shipped.remove(&key);
            let (text, value) = found.unwrap_or_else(|| panic!("{key:?} is not in {DEFAULT_FILE}"));
            // The rules of a channel were told at [channel_defaults]; the lists have examples.
            if !text.is_empty() || !section.is_list {
                assert_eq!(text, comment(section, about), "the comment of {key:?}");
            }
            if !section.is_list && !about.required {
                assert_eq!(value, toml(&about.default), "the default of {key:?}");
            }
        }
    }
    assert!(shipped.is_empty(), "unknown: {shipped:?}");
}

/// The text of a setting, in the plain sections with its bounds.
fn comment(section: &SectionAbout, about: &About) -> String {
    let text = about.doc.replace('\n', " ");
    match about.shape {
        Shape::Integer { least, most } if !section.is_list => format!("{text} {least} to {most}."),
        _ => text,
    }
}

#[test]
fn help_names_every_setting() {
    let help = crate::config::help();
    for section in sections() {
        for about in &section.settings {
            assert!(
                help.contains(&format!("\n  {} ", about.key)),
                "{}",
                about.key
            );
        }
    }
}

#[test]
fn the_schema_takes_what_the_gateway_takes() {
    // A small reading of the schema: names, types, bounds and words.
    let schema = schema();
    let example = std::fs::read_to_string(DEFAULT_FILE).expect("the shipped file");
    let file: ::toml::Table = example.parse().expect("TOML");
    let file = serde_json::to_value(file).expect("JSON");
    assert_eq!(fits(&file, &schema), Ok(()));
    for (section, key, wrong) in [
        ("server", "listn", json!("127.0.0.1:1")),
        ("quota", "channel_tps", json!(6)),
        ("quota", "channel_tps", json!("5")),
        ("tuning", "fair_share", json!(0)),
        ("upstream", "mode", json!("gcp")),
        ("channel_defaults", "envelope_fields", json!(["data"])),
        ("channels", "allow_unlisted", json!(1)),
    ] {
        let mut file = file.clone();
        file[section][key] = wrong;
        assert!(fits(&file, &schema).is_err(), "{section}.{key}");
    }
}

/// The part of JSON Schema that the schema uses.
fn fits(value: &Value, schema: &Value) -> Result<(), String> {
    let wrong = || Err(format!("{value} does not fit {schema}"));
    let type_fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("string") => value.is_string(),
        _ => true,
    };
    let words = schema["enum"].as_array();
    let number = value.as_f64();
    let beyond = |bound: &str, is_out: fn(f64, f64) -> bool| {
        let bound = schema[bound].as_f64();
        number
            .zip(bound)
            .is_some_and(|(number, bound)| is_out(number, bound))
    };
    if !type_fits
        || words.is_some_and(|words| !words.contains(value))
        || beyond("minimum", |number, bound| number < bound)
        || beyond("maximum", |number, bound| number > bound)
        || beyond("exclusiveMinimum", |number, bound| number <= bound)
    {
        return wrong();
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(key) {
            Some(schema) => fits(value, schema)?,
            None if schema["additionalProperties"] == false => return wrong(),
            None => {}
        }
    }
    for element in value.as_array().into_iter().flatten() {
        fits(element, &schema["items"])?;
    }
    Ok(())
}

fn schema() -> Value {
    let mut properties = Map::new();
    for section in sections() {
        let keys = section.settings.iter();
        let keys: Map<_, _> = keys
            .map(|about| (about.key.to_owned(), schema_of(about)))
            .collect();
        let required = section.settings.iter().filter(|about| about.required);
        let required: Vec<_> = required.map(|about| about.key).collect();
        let mut table = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": keys,
        });
        // A variable may name the mode instead of the file.
        if section.is_list {
            table["required"] = json!(required);
            table = json!({ "type": "array", "items": table });
        }
        properties.insert(section.name.to_owned(), table);
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Cuegate's configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn schema_of(about: &About) -> Value {
    let mut schema = shape(&about.shape);
    schema["description"] = json!(about.doc.replace('\n', " "));
    if !about.required {
        let empty = json!("");
        schema["default"] = if about.default.is_null() {
            empty
        } else {
            about.default.clone()
        };
    }
    schema
}

fn shape(shape_of: &Shape) -> Value {
    match shape_of {
        Shape::Integer { least, most } => {
            let bound = |number: &i128| i64::try_from(*number).expect("within 64 bits");
            json!({ "type": "integer", "minimum": bound(least), "maximum": bound(most) })
        }
        Shape::Share => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Words(words) => json!({ "type": "string", "enum": words }),
        Shape::Text { .. } => json!({ "type": "string" }),
        Shape::List(element) => json!({ "type": "array", "items": shape(element) }),
    }
}

fn page() -> String {
    let mut page = "<!-- Derived from the settings: edit src/config/keys.rs. -->\n\n\
        # Settings\n\n\
        Every setting with its default. Settings of a plain `[section]` can also be set by the\n\
        environment, which wins: `CUEGATE__SECTION__KEY`, as `CUEGATE__QUOTA__ACCOUNT_TPS=100`.\n\
        A change is applied by a reload, except where the table says *restart*.\n"
        .to_owned();
    for section in sections() {
        write_section(&mut page, &section);
    }
    page
}

fn write_section(page: &mut String, section: &SectionAbout) {
    let name = section.name;
    let (open, close) = if section.is_list {
        ("[[", "]]")
    } else {
        ("[", "]")
    };
    let header = format!("{open}{name}{close}");
    writeln!(page, "\n## {name}\n\n`{header}`\n").expect("a string");
    page.push_str("| key | value | default | |\n|---|---|---|---|\n");
    for about in &section.settings {
        let default = if about.required {
            "required".to_owned()
        } else {
            format!("`{}`", toml(&about.default))
        };
        let restart = match about.effect {
            Effect::Live => "",
            Effect::Restart => " *restart*",
            Effect::SwitchedAtStart => " *restart, to begin or to end*",
        };
        let text = about.doc.replace('\n', " ").replace('|', "\\|");
        let text = text
            .replace("/*", "/\\*")
            .replace('<', "&lt;")
            .replace('[', "\\[");
        let value = value_of(&about.shape);
        writeln!(
            page,
            "| `{}` | {value} | {default} | {text}{restart} |",
            about.key
        )
        .expect("a string");
    }
}

fn value_of(shape: &Shape) -> String {
    match shape {
        Shape::Integer { least, most } => format!("{least} to {most}"),
        Shape::Share => "above 0, at most 1".to_owned(),
        Shape::Boolean => "`true`, `false`".to_owned(),
        Shape::Words(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(", ")
        }
        Shape::Text { format, optional } => {
            let or_empty = if *optional { ", or empty" } else { "" };
            format!("{format}{or_empty}")
        }
        Shape::List(element) => format!("list: {}", value_of(element)),
    }
}
