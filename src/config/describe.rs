//! What `serve --help` says of the settings.

use std::fmt::Write as _;

use serde_json::Value;

use super::catalog::sections;
use super::reader::PREFIX;
use super::setting::About;

/// Every setting in a line: its name, its default, and what it is for in a sentence.
#[must_use]
pub fn help() -> String {
    let mut help = format!(
        "Settings, in the file or, for [plain] sections, as variables {PREFIX}SECTION__KEY.\n\
         config/cuegate.toml has each with its reasons.\n"
    );
    for section in sections() {
        let name = section.name;
        let header = if section.is_list {
            format!("[[{name}]]")
        } else {
            format!("[{name}]")
        };
        // Writing to a string cannot fail.
        let _ = write!(help, "\n{header}\n");
        for about in &section.settings {
            let _ = writeln!(
                help,
                "  {}\n      {}",
                example(about),
                first_sentence(&about.doc)
            );
        }
    }
    help
}

/// `key = default` as in TOML; only the key where there is no default.
pub(super) fn example(about: &About) -> String {
    if about.required {
        return format!("{} (required)", about.key);
    }
    format!("{} = {}", about.key, toml(&about.default))
}

/// A value as in TOML. What is not set is the empty text.
pub(super) fn toml(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".to_owned(),
        other => other.to_string(),
    }
}

fn first_sentence(doc: &str) -> String {
    let doc = doc.replace('\n', " ");
    let end = doc.find(". ").map_or(doc.len(), |end| end + 1);
    doc[..end].to_owned()
}
