//! As much of a language client as the tests need: opens documents, hears of errors, asks for completion.

use e2e::{PATIENCE, workspace};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

/// Where `npm ci` puts the server.
const SERVER: &str = "tests/language-server/node_modules/yaml-language-server/bin/yaml-language-server";

/// A language server that runs. Killed when dropped.
pub(crate) struct Client {
    child: Child,
    input: ChildStdin,
    heard: Receiver<Value>,
    last_id: u64,
    opened: u64,
}

/// An error or warning that the editor shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) message: String,
}

impl Client {
    /// Starts the server. `None`, with the reason printed, where it is not installed; in CI that is a failure.
    pub(crate) fn start() -> Option<Self> {
        let server = workspace().join(SERVER);
        let node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
        if !node || !server.exists() {
            let why = "node or the language server is missing: run `npm ci` in tests/language-server";
            assert!(std::env::var_os("CI").is_none(), "{why}");
            println!("skipped: {why}");
            return None;
        }
        let mut child = Command::new("node")
            .arg(server)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server can be started");
        let input = child.stdin.take().expect("has a pipe");
        let output = BufReader::new(child.stdout.take().expect("has a pipe"));
        let (says, heard) = mpsc::channel();
        // Ends with the server.
        std::thread::spawn(move || read_messages(output, &says));
        let mut client = Self { child, input, heard, last_id: 0, opened: 0 };
        let item = json!({ "snippetSupport": true, "documentationFormat": ["markdown"] });
        client.ask(
            "initialize",
            &json!({
                "processId": std::process::id(),
                "rootUri": null,
                "capabilities": {
                    "workspace": { "configuration": true },
                    "textDocument": { "completion": { "completionItem": item }, "publishDiagnostics": {} },
                },
            }),
        );
        client.tell("initialized", &json!({}));
        Some(client)
    }

    /// Opens a document in this folder, and gives what is marked in it.
    pub(crate) fn open(&mut self, folder: &Path, text: &str) -> Vec<Mark> {
        let uri = self.fresh_uri(folder);
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", &json!({ "textDocument": document }));
        let marks = self.wait(|message| {
            let params = &message["params"];
            (message["method"] == "textDocument/publishDiagnostics" && params["uri"] == uri.as_str())
                .then(|| params["diagnostics"].as_array().cloned().unwrap_or_default())
        });
        marks.iter().map(|mark| shown(mark, text)).collect()
    }

    /// What the editor offers where `█` stands in the text.
    pub(crate) fn complete(&mut self, folder: &Path, text: &str) -> Vec<String> {
        let uri = self.fresh_uri(folder);
        let at = text.find('█').expect("the place is marked");
        let line = text[..at].matches('\n').count();
        let column = text[..at].chars().rev().take_while(|c| *c != '\n').count();
        let document =
            json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text.replace('█', "") });
        self.tell("textDocument/didOpen", &json!({ "textDocument": document }));
        let position = json!({ "line": line, "character": column });
        let asked = json!({ "textDocument": { "uri": uri }, "position": position });
        let answer = self.ask("textDocument/completion", &asked);
        let items = answer["items"].as_array().or_else(|| answer.as_array()).cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["label"].as_str().map(str::to_owned)).collect()
    }

    /// A name that no document had before: what the server still has to say of another one is not taken for this one's.
    fn fresh_uri(&mut self, folder: &Path) -> String {
        self.opened += 1;
        format!("file://{}/{}.yaml", folder.display(), self.opened)
    }

    fn tell(&mut self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        self.wait(|message| {
            (message["id"] == id && message.get("method").is_none()).then(|| message["result"].clone())
        })
    }

    /// Waits for a message, and answers what the server asks meanwhile.
    fn wait<T>(&mut self, wanted: impl Fn(&Value) -> Option<T>) -> T {
        loop {
            let message = self.heard.recv_timeout(PATIENCE).expect("the server answers");
            if let Some(found) = wanted(&message) {
                return found;
            }
            if let (Some(id), Some(method)) = (message.get("id"), message["method"].as_str()) {
                let items = message["params"]["items"].as_array().cloned().unwrap_or_default();
                let result = match method {
                    "workspace/configuration" => Value::Array(items.iter().map(configuration).collect()),
                    _ => Value::Null,
                };
                self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
            }
        }
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("the server reads");
        self.input.flush().expect("the server reads");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As VS Code has it, but nothing from the network.
fn configuration(item: &Value) -> Value {
    match item["section"].as_str() {
        Some("yaml") => json!({
            "validate": true, "completion": true, "hover": true, "schemaStore": { "enable": false },
        }),
        _ => Value::Null,
    }
}

fn shown(mark: &Value, text: &str) -> Mark {
    let at = |end: &str, part: &str| {
        usize::try_from(mark["range"][end][part].as_u64().expect("a place")).expect("is small")
    };
    let line = at("start", "line");
    let chars = text.lines().nth(line).unwrap_or_default().chars();
    let marked = chars.skip(at("start", "character"));
    let marked: String = if at("end", "line") == line {
        marked.take(at("end", "character") - at("start", "character")).collect()
    } else {
        marked.collect()
    };
    Mark { line: line + 1, text: marked, message: mark["message"].as_str().unwrap_or_default().to_owned() }
}

fn read_messages(mut output: impl BufRead, says: &mpsc::Sender<Value>) {
    let mut length = 0;
    loop {
        let mut line = String::new();
        match output.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = line.trim();
        if let Some(number) = line.strip_prefix("Content-Length: ") {
            length = number.parse().expect("a length");
        } else if line.is_empty() {
            let mut body = vec![0; length];
            if output.read_exact(&mut body).is_err() {
                return;
            }
            let message = serde_json::from_slice(&body).expect("the server writes JSON");
            if says.send(message).is_err() {
                return;
            }
        }
    }
}
