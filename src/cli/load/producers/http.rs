//! Events over HTTP, on connections that are kept: a request for each turn of a channel.

use axum::http::{Method, StatusCode};
use serde::Deserialize;

use super::{RETRY, Run};
use crate::cli::http::{Session, channel_path};
use crate::cli::load::pace::Pace;
use crate::cli::load::plan::Request;

/// What of an answer matters: a 202, or a problem document.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    rejected: Vec<Rejected>,
    code: Option<String>,
}

#[derive(Deserialize)]
struct Rejected {
    index: usize,
    code: String,
}

/// Sends the requests of one connection of so many.
pub(super) async fn produce(
    run: &Run,
    pace: &Pace,
    session: &Session,
    (connection, connections): (usize, usize),
) {
    let paths: Vec<String> = run
        .names
        .iter()
        .map(|name| channel_path(name, "events"))
        .collect();
    for request in run.plan.of(connection, connections) {
        // Made before it is due, so that making it is not counted as lateness.
        let body = run.form.body(&request, None, run.plan.batch);
        if !pace.reaches(connection, request.due).await {
            return;
        }
        run.book().leaves(&request, pace.since(request.due));
        let path = &paths[request.channel];
        let asked = session.ask(Method::POST, path, "application/json", body.into());
        match asked.await {
            Ok((status, answer)) => settle(run, &request, status, &answer, pace),
            Err(error) => {
                run.troubled(error.to_string());
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

fn settle(run: &Run, request: &Request, status: StatusCode, answer: &[u8], pace: &Pace) {
    let after_us = pace.since(request.due);
    let answer = serde_json::from_slice::<Answer>(answer).ok();
    let mut book = run.book();
    match (status, answer) {
        (StatusCode::ACCEPTED, Some(answer)) => {
            for Rejected { index, code } in &answer.rejected {
                book.refused(request, *index, code);
            }
        }
        (_, answer) => {
            let code = answer.and_then(|answer| answer.code);
            let code = code.unwrap_or_else(|| format!("http_{}", status.as_u16()));
            for index in 0..request.count {
                book.refused(request, index, &code);
            }
        }
    }
    book.answered(request, after_us);
}
