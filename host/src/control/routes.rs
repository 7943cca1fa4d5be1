//! What is asked for, and who answers. docs/control-api.md is the description of these routes.

use super::rates::Rates;
use super::{ledger, metrics, status};
use crate::logging::{FILTER_CHANGES, Filter};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use cardcage_core::config::Secrets;
use cardcage_runtime::{ComponentState, Health, Live, View};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a request's body; the only one is a log filter, which is shorter.
const BODY_MAX_BYTES: usize = 8 * 1024;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What the answers are made of.
pub(super) struct Daemon {
    /// The pipeline's file, as it was named.
    pub(super) file: String,
    pub(super) live: Live,
    filter: Filter,
    /// What plugins say may hold what no answer may.
    secrets: Secrets,
    rates: Mutex<Rates>,
}

type Shared = State<Arc<Daemon>>;

impl Daemon {
    pub(super) fn new(file: &str, live: Live, filter: Filter, secrets: Secrets) -> Self {
        Self { file: file.to_owned(), live, filter, secrets, rates: Mutex::default() }
    }

    fn view(&self) -> View {
        let mut view = self.live.view();
        for component in &mut view.components {
            if let ComponentState::Failed(why) = &mut component.state {
                *why = self.secrets.mask(why).into_owned();
            }
        }
        view
    }

    /// Notes how far everything is, for rates.
    pub(super) fn sample(&self) {
        let (books, _) = self.live.books();
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).sample(&books);
    }
}

/// All of it, for those who may control the daemon.
pub(super) fn control(daemon: Arc<Daemon>) -> Router {
    let routes = Router::new()
        .route("/status", get(status_of))
        .route("/ledger", get(ledger_of))
        .route("/log-level", post(set_log_level).get(log_level).delete(reset_log_level));
    finished(routes, daemon)
}

/// What anyone may see who can reach the TCP port.
pub(super) fn metrics_only(daemon: Arc<Daemon>) -> Router {
    finished(Router::new(), daemon)
}

fn finished(routes: Router<Arc<Daemon>>, daemon: Arc<Daemon>) -> Router {
    routes
        .route("/metrics", get(metrics_of))
        .route("/health", get(health))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(daemon)
}

/// What is said of a request that cannot be answered.
pub(super) fn error_body(message: &str) -> String {
    format!("{}\n", json!({ "error": message }))
}

async fn status_of(State(daemon): Shared, headers: HeaderMap) -> Response {
    let view = daemon.view();
    let rates = daemon.rates.lock().unwrap_or_else(PoisonError::into_inner);
    if wants_text(&headers) {
        answer(StatusCode::OK, TEXT, status::text(&daemon.file, &view, &rates))
    } else {
        json_answer(StatusCode::OK, &status::json(&daemon.file, &view, &rates))
    }
}

async fn ledger_of(State(daemon): Shared, headers: HeaderMap) -> Response {
    let view = daemon.view();
    if wants_text(&headers) {
        answer(StatusCode::OK, TEXT, ledger::text(&daemon.file, &view))
    } else {
        json_answer(StatusCode::OK, &ledger::json(&daemon.file, &view))
    }
}

async fn metrics_of(State(daemon): Shared, headers: HeaderMap) -> Response {
    if accepts(&headers, JSON) {
        return json_answer(StatusCode::OK, &metrics::json(&daemon.view()));
    }
    // Only who asks for the older form gets it: whoever collects metrics says what it reads.
    let classic = accepts(&headers, "text/plain") && !accepts(&headers, "application/openmetrics-text");
    let form = if classic { metrics::Form::Classic } else { metrics::Form::OpenMetrics };
    answer(StatusCode::OK, form.content_type(), metrics::text(&daemon.view(), form))
}

async fn health(State(daemon): Shared) -> Response {
    let health = Health::of(&daemon.view());
    json_answer(StatusCode::OK, &status::health_json(&health))
}

async fn live(State(daemon): Shared) -> Response {
    let health = Health::of(&daemon.view());
    json_answer(well(health.live), &status::health_json(&health))
}

async fn ready(State(daemon): Shared) -> Response {
    let health = Health::of(&daemon.view());
    json_answer(well(health.ready), &status::health_json(&health))
}

async fn log_level(State(daemon): Shared) -> Response {
    json_answer(StatusCode::OK, &json!({ "filter": daemon.filter.current() }))
}

async fn set_log_level(State(daemon): Shared, body: Bytes) -> Response {
    let asked: Option<Value> = serde_json::from_slice(&body).ok();
    let Some(text) = asked.as_ref().and_then(|asked| asked.get("filter")).and_then(Value::as_str) else {
        let message = "expected a JSON object such as {\"filter\": \"info,press=debug\"}";
        return answer(StatusCode::BAD_REQUEST, JSON, error_body(message));
    };
    let before = daemon.filter.current();
    match daemon.filter.set(text) {
        Ok(()) => {
            let filter = daemon.filter.current();
            tracing::info!(target: FILTER_CHANGES, "the log's filter is `{filter}` now, it was `{before}`");
            json_answer(StatusCode::OK, &json!({ "filter": filter, "before": before }))
        }
        Err(error) => answer(StatusCode::BAD_REQUEST, JSON, error_body(&error.to_string())),
    }
}

async fn reset_log_level(State(daemon): Shared) -> Response {
    let before = daemon.filter.current();
    daemon.filter.reset();
    let filter = daemon.filter.current();
    tracing::info!(target: FILTER_CHANGES, "the log's filter is `{filter}` again, it was `{before}`");
    json_answer(StatusCode::OK, &json!({ "filter": filter, "before": before }))
}

async fn unknown() -> Response {
    let message = "there is no such path; docs/control-api.md lists those that there are";
    answer(StatusCode::NOT_FOUND, JSON, error_body(message))
}

async fn wrong_method(method: Method) -> Response {
    let message = format!("{method} is not for this path; docs/control-api.md says what is");
    answer(StatusCode::METHOD_NOT_ALLOWED, JSON, error_body(&message))
}

fn well(well: bool) -> StatusCode {
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Whether plain text is asked for, and not any form or JSON.
fn wants_text(headers: &HeaderMap) -> bool {
    accepts(headers, "text/plain")
}

fn accepts(headers: &HeaderMap, form: &str) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains(form))
}

fn json_answer(status: StatusCode, value: &Value) -> Response {
    answer(status, JSON, format!("{value}\n"))
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
