//! Events over WebSocket: messages that do not wait for one another, acknowledged together.

use std::time::Duration;

use cuegate_client::{Client, Error, Message, Prepared, Receipt, Session};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::Run;
use crate::cli::load::pace::Pace;
use crate::cli::load::plan::Request;

/// Messages of a connection that may wait for their acknowledgement: four times as many as the
/// gateway handles before it acknowledges at the latest.
pub(super) const WINDOW: usize = 1024;
/// How long the last acknowledgement is waited for.
const LAST_ACK: Duration = Duration::from_secs(30);
/// How often a producer whose window is full looks whether the run is over.
const LOOK: Duration = Duration::from_millis(50);
/// How long closing may take.
const CLOSE: Duration = Duration::from_secs(2);

/// Opens a session for events that name their channel.
///
/// What a lost connection leaves unacknowledged stays unanswered: events without an id cannot be
/// sent twice, and ids would be bytes of the load that nobody asked for.
pub(super) async fn open(gateway: &Client) -> Result<Session, Error> {
    let session = gateway.session_to_many().resend(false);
    session.window(WINDOW).open().await
}

/// Sends the messages of one connection of so many, and books their answers.
pub(super) async fn produce(
    run: &Run,
    pace: &Pace,
    session: Session,
    (nth, connections): (usize, usize),
) {
    let (sent, receipts) = unbounded_channel();
    let sending = async {
        send(run, pace, &session, sent, (nth, connections)).await;
        tokio::time::sleep(LAST_ACK).await;
    };
    tokio::select! {
        // Everything was sent and answered.
        () = settle(run, pace, receipts) => {}
        () = sending => run.troubled("no acknowledgement in time".to_owned()),
    }
    let _ = timeout(CLOSE, session.close()).await;
}

/// Sends what is due. What waits for an answer is bounded by the session's window.
async fn send(
    run: &Run,
    pace: &Pace,
    session: &Session,
    sent: UnboundedSender<(Request, Receipt)>,
    (nth, connections): (usize, usize),
) {
    for request in run.plan.of(nth, connections) {
        let name = &run.names[request.channel];
        let text = run.form.body(&request, Some(name), run.plan.batch);
        let Some(message) = room(run, pace, session, nth, text).await else {
            return;
        };
        if !pace.reaches(nth, request.due).await {
            return;
        }
        run.book().leaves(&request, pace.since(request.due));
        match message.send() {
            // Its reader is gone only with the run.
            Ok(receipt) => drop(sent.send((request, receipt))),
            Err(error) => return run.troubled(error.to_string()),
        }
    }
}

/// Waits for room in the window; none: the run is over, or the session is.
async fn room<'a>(
    run: &Run,
    pace: &Pace,
    session: &'a Session,
    nth: usize,
    text: String,
) -> Option<Prepared<'a>> {
    let prepared = session.prepare(Message::json(text));
    tokio::pin!(prepared);
    loop {
        match timeout(LOOK, &mut prepared).await {
            Ok(Ok(message)) => return Some(message),
            Ok(Err(error)) => {
                run.troubled(error.to_string());
                return None;
            }
            Err(_) if pace.reaches(nth, Duration::ZERO).await => {}
            Err(_) => return None,
        }
    }
}

/// Books answers, in the order of the messages, until the last.
async fn settle(run: &Run, pace: &Pace, mut receipts: UnboundedReceiver<(Request, Receipt)>) {
    while let Some((request, receipt)) = receipts.recv().await {
        match receipt.await {
            Ok(acknowledged) => {
                let mut book = run.book();
                for rejected in &acknowledged.rejected {
                    book.refused(&request, rejected.index, rejected.code.as_str());
                }
                book.answered(&request, pace.since(request.due));
            }
            Err(error) => run.troubled(error.to_string()),
        }
    }
}
