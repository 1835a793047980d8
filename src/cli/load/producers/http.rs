//! Events over HTTP, on connections that are kept: a request for each turn of a channel.

use cuegate_client::{Body, Client, Error, Published};

use super::{RETRY, Run};
use crate::cli::load::pace::Pace;
use crate::cli::load::plan::Request;

/// Sends the requests of one connection of so many.
pub(super) async fn produce(
    run: &Run,
    pace: &Pace,
    gateway: &Client,
    (connection, connections): (usize, usize),
) {
    for request in run.plan.of(connection, connections) {
        // Made before it is due, so that making it is not counted as lateness.
        let body = Body::json(run.form.body(&request, None, run.plan.batch));
        let publish = gateway.publish(&run.names[request.channel], body);
        if !pace.reaches(connection, request.due).await {
            return;
        }
        run.book().leaves(&request, pace.since(request.due));
        match publish.await {
            Err(error) if error.refusal().is_none() => {
                run.troubled(error.to_string());
                tokio::time::sleep(RETRY).await;
            }
            answer => settle(run, &request, answer, pace),
        }
    }
}

fn settle(run: &Run, request: &Request, answer: Result<Published, Error>, pace: &Pace) {
    let after_us = pace.since(request.due);
    let mut book = run.book();
    match answer {
        Ok(published) => {
            for rejected in &published.rejected {
                book.refused(request, rejected.index, rejected.code.as_str());
            }
        }
        Err(error) => {
            let code = error.refusal().map_or_else(String::new, |refusal| {
                match refusal.code.as_str() {
                    // It is not Cuegate's, as that of a proxy.
                    "" => format!("http_{}", refusal.status.as_u16()),
                    code => code.to_owned(),
                }
            });
            for index in 0..request.count {
                book.refused(request, index, &code);
            }
        }
    }
    book.answered(request, after_us);
}
