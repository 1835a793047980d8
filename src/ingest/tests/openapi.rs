//! The document against the router, the map of refusals, the events that are taken and the
//! documentation. That answers are as it says is schemathesis' to show, in `tests/interop`.

use super::*;
use crate::refusal::Code;
use std::collections::BTreeSet;

const DOCUMENTED: &str = include_str!("../../../docs/src/http.md");

async fn document(stand: &Stand) -> Value {
    let answer = stand
        .send("GET", "/openapi.json", None, Body::empty())
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    answer.json()
}

/// Path, method and documentation of every operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(|(method, operation)| {
            let method = method.to_ascii_uppercase();
            (path.clone(), method, operation.clone())
        })
    });
    all.collect()
}

#[tokio::test]
async fn what_it_is() {
    let stand = Stand::new().await;
    let document = document(&stand).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["info"]["license"]["identifier"], "Apache-2.0");
    let tags: Vec<_> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(
            ids.insert(operation["operationId"].to_string()),
            "{method} {path}"
        );
        assert!(operation["summary"].is_string(), "{method} {path}");
        assert!(tags.contains(&&operation["tags"][0]), "{method} {path}");
    }
    let text = document.to_string();
    for name in text.split(r##""#/components/schemas/"##).skip(1) {
        let name = name.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_path_is_mounted_with_its_methods() {
    let stand = Stand::new().await;
    let document = document(&stand).await;
    for (path, item) in document["paths"].as_object().unwrap() {
        let url = path.replace("{channel}", "quiz").replace("{id}", "a");
        let answer = stand.send("TRACE", &url, None, Body::empty()).await;
        assert_eq!(answer.status, 405, "{path}");
        let allow = answer.headers["allow"].to_str().unwrap();
        let allowed: BTreeSet<_> = allow
            .split(", ")
            .filter(|method| *method != "HEAD")
            .collect();
        let methods: Vec<_> = item
            .as_object()
            .unwrap()
            .keys()
            .map(|name| name.to_ascii_uppercase())
            .collect();
        assert_eq!(
            allowed,
            methods.iter().map(String::as_str).collect(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_code_is_under_its_status() {
    let stand = Stand::new().await;
    let document = document(&stand).await;
    let mut found = BTreeSet::new();
    let mut look = |status: Option<&str>, response: &Value| {
        let schema = &response["content"]["application/problem+json"]["schema"];
        for code in schema["properties"]["code"]["enum"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let code = Code::ALL.iter().find(|known| code == known.name()).unwrap();
            assert_eq!(
                status.unwrap_or(code.status().as_str()),
                code.status().as_str(),
                "{code:?}"
            );
            found.insert(code.name());
        }
    };
    for (_, _, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            look(Some(status), response);
        }
    }
    for response in document["components"]["responses"]
        .as_object()
        .unwrap()
        .values()
    {
        look(None, response);
    }
    for code in Code::ALL {
        let is_found = found.contains(code.name());
        assert_eq!(is_found, !code.is_operators(), "{code:?}");
    }
}

/// The left column of the documented table of requests.
fn requests() -> Vec<String> {
    let (_, table) = DOCUMENTED.split_once("| request | |\n|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split(" | ").next().unwrap());
    let codes = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    codes.map(str::to_owned).collect()
}

#[tokio::test]
async fn every_documented_request_is_in_it() {
    let stand = Stand::new().await;
    let document = document(&stand).await;
    let operations = operations(&document);
    let requests = requests();
    assert!(requests.len() > 12, "{requests:?}");
    let mut method = "";
    for request in &requests {
        // `DELETE …`; without a method it is that of the request before it, and `…` stands for
        // the beginning of its path.
        let target = match request.split_once(' ') {
            Some((named, target)) => {
                method = named;
                target
            }
            None => request,
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let names: Vec<_> = query
            .split('&')
            .filter_map(|pair| pair.split('=').next())
            .filter(|name| !name.is_empty())
            .collect();
        let is_it = |(at, by, operation): &(String, String, Value)| {
            let parameters = operation["parameters"].to_string();
            let end = path.strip_prefix('…');
            by == method
                && end.map_or(at == path, |end| at.ends_with(end))
                && names
                    .iter()
                    .all(|name| parameters.contains(&format!(r#""name":"{name}""#)))
        };
        assert!(operations.iter().any(is_it), "{method} {request}");
    }
}

/// The examples of request bodies are answered with a success.
#[tokio::test]
async fn examples_work() {
    let stand = Stand::with("[eventbridge]\nsecret = \"secret-of-the-test\"\n").await;
    let document = document(&stand).await;
    let mut tried = 0;
    for (path, method, operation) in operations(&document) {
        // It needs a journal, which the black-box tests have.
        if operation["operationId"] == "putChannel" {
            continue;
        }
        let content = operation["requestBody"]["content"].as_object();
        for (media, body) in content.into_iter().flatten() {
            for example in examples(&document, &body["schema"]) {
                let text = example
                    .to_string()
                    .replace("channel/demo", "channel/quiz")
                    .replace("\"demo\"", "\"quiz\"");
                let text = match media.as_str() {
                    "application/cloudevents-batch+json" => format!("[{text}]"),
                    _ => text,
                };
                let url = path.replace("{channel}", "quiz");
                let request = Request::builder()
                    .method(&*method)
                    .uri(&url)
                    .header("content-type", media)
                    .header("x-cuegate-secret", "secret-of-the-test");
                let answer = stand
                    .ask(request.body(Body::from(text.clone())).unwrap())
                    .await;
                assert!(
                    answer.status.is_success(),
                    "{method} {path} {text}: {}",
                    answer.text
                );
                tried += 1;
            }
        }
    }
    assert!(tried >= 14, "{tried}");
}

/// The examples of a schema, or of what it is made of.
fn examples(document: &Value, schema: &Value) -> Vec<Value> {
    if let Some(own) = schema["examples"].as_array() {
        return own.clone();
    }
    if let Some(name) = schema["$ref"].as_str() {
        return examples(
            document,
            document.pointer(name.trim_start_matches('#')).unwrap(),
        );
    }
    let parts = schema["anyOf"]
        .as_array()
        .and_then(|parts| parts.first())
        .unwrap_or(&schema["items"]);
    if parts.is_null() {
        Vec::new()
    } else {
        examples(document, parts)
    }
}
