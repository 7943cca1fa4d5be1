//! What is asked for, and who answers. docs/control-api.md is the description of these routes.

use super::rates::Rates;
use super::{ledger, metrics, status};
use crate::logging::{FILTER_CHANGES, Filter};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
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

/// What is said where there is no place.
pub(super) const TOO_MANY: &str = "too many connections at once; try again in a moment";
/// What is said to those who may not come in.
pub(super) const NOT_ALLOWED: &str =
    "this user may not control the daemon: `control.group` says who else may";

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
/// A body that nobody needs, read all the same: whoever is still sending it does not hear an answer.
type Heard = Result<Bytes, BytesRejection>;

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

/// Health, for those who find no place; all else is for later.
pub(super) fn busy(daemon: Arc<Daemon>) -> Router {
    with_health(Router::new())
        .fallback(too_many)
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(daemon)
}

/// Nothing, for those who may not control the daemon.
pub(super) fn forbidden() -> Router {
    Router::new().fallback(not_allowed).layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
}

fn finished(routes: Router<Arc<Daemon>>, daemon: Arc<Daemon>) -> Router {
    with_health(routes)
        .route("/metrics", get(metrics_of))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(daemon)
}

fn with_health(routes: Router<Arc<Daemon>>) -> Router<Arc<Daemon>> {
    routes.route("/health", get(health)).route("/health/live", get(live)).route("/health/ready", get(ready))
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
    let [json, open, classic] =
        [JSON, "application/openmetrics-text", "text/plain"].map(|form| wish(&headers, form));
    if json > 0 && json >= open.max(classic) {
        return json_answer(StatusCode::OK, &metrics::json(&daemon.view()));
    }
    // Only who asks for the older form gets it: whoever collects metrics says what it reads.
    let form = if classic > open { metrics::Form::Classic } else { metrics::Form::OpenMetrics };
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

async fn set_log_level(State(daemon): Shared, body: Heard) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let message =
                format!("the body has more than {BODY_MAX_BYTES} bytes, a filter has at most half as many");
            return answer(StatusCode::PAYLOAD_TOO_LARGE, JSON, error_body(&message));
        }
        Err(error) => return answer(error.status(), JSON, error_body(&error.body_text())),
    };
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

async fn unknown(_: Heard) -> Response {
    let message = "there is no such path; docs/control-api.md lists those that there are";
    answer(StatusCode::NOT_FOUND, JSON, error_body(message))
}

async fn wrong_method(method: Method, _: Heard) -> Response {
    let message = format!("{method} is not for this path; docs/control-api.md says what is");
    answer(StatusCode::METHOD_NOT_ALLOWED, JSON, error_body(&message))
}

async fn too_many(_: Heard) -> Response {
    answer(StatusCode::SERVICE_UNAVAILABLE, JSON, error_body(TOO_MANY))
}

async fn not_allowed(_: Heard) -> Response {
    answer(StatusCode::FORBIDDEN, JSON, error_body(NOT_ALLOWED))
}

fn well(well: bool) -> StatusCode {
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Whether plain text is asked for, and not any form or JSON.
fn wants_text(headers: &HeaderMap) -> bool {
    let text = wish(headers, "text/plain");
    text > 0 && text >= wish(headers, JSON)
}

/// How much this very form is wanted, in thousandths; 0 if it is not named or not wanted. Whoever takes anything asks for
/// nothing.
fn wish(headers: &HeaderMap, form: &str) -> u16 {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let named = values.flat_map(|value| value.split(',')).filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().filter(|name| name.eq_ignore_ascii_case(form))?;
        let quality = parts
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        Some(quality.map_or(1000, |(_, value)| thousandths(value.trim())))
    });
    named.max().unwrap_or(0)
}

/// `0.5` as 500; what is no such number as 1000, as if it were not there.
fn thousandths(quality: &str) -> u16 {
    let (whole, rest) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "0" if rest.len() <= 3 && digits(rest) => format!("{rest:0<3}").parse().unwrap_or(1000),
        _ => 1000,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_is_read_as_http_has_it() {
        let wish = |accept: &str, form| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().expect("a value"));
            wish(&headers, form)
        };
        for (accept, json, text) in [
            ("application/json", 1000, 0),
            ("Application/JSON", 1000, 0),
            ("text/plain;q=0", 0, 0),
            ("text/plain; version=0.0.4; Q=0.25, application/json ;q=0.5", 500, 250),
            ("application/json;q=1.000, text/plain;q=x", 1000, 1000),
            ("*/*, text/*, application/jsonp", 0, 0),
            ("", 0, 0),
        ] {
            assert_eq!((wish(accept, JSON), wish(accept, "text/plain")), (json, text), "{accept}");
        }
    }
}
