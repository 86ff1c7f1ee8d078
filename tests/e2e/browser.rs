//! A headless Chromium, driven by its DevTools protocol.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use crate::window::now_secs;
use weir_harness::{PATIENCE, Process};

/// One page in a browser of its own.
pub(crate) struct Browser {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    next: u64,
    /// What the page complained of: errors of scripts, and what its security policy refused.
    pub(crate) complaints: Vec<String>,
    _process: Process,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a page and waits until it is there.
    pub(crate) fn open(chromium: &Path, url: &str) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let mut process = Process::start(
            Command::new(chromium)
                .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
                .args(["--disable-dev-shm-usage", "--no-first-run"])
                .args(["--hide-scrollbars", "--window-size=1280,1600"])
                .arg("--remote-debugging-port=0")
                .arg(format!("--user-data-dir={}", profile.path().display())),
        );
        let opening = "DevTools listening on ";
        let address = process.wait_for(|line| line.strip_prefix(opening).map(str::to_owned));
        let (socket, _) = tungstenite::connect(address.trim()).expect("DevTools");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        }
        let mut browser = Self {
            socket,
            session: String::new(),
            next: 0,
            complaints: Vec::new(),
            _process: process,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach);
        attached["sessionId"]
            .as_str()
            .expect("a session")
            .clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        let touch = json!({"enabled": true});
        browser.call("Emulation.setTouchEmulationEnabled", touch);
        browser.look(1440, false);
        browser.call("Page.navigate", json!({"url": url}));
        browser
    }

    /// Sets the width of the window in CSS pixels, and the colours that the user prefers.
    pub(crate) fn look(&mut self, width: u32, is_dark: bool) {
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// What axe-core, whose script is in this file, finds wrong: the rule, and the elements that break it.
    pub(crate) fn violations(&mut self, axe: &Path) -> Vec<String> {
        let script = std::fs::read_to_string(axe).expect("a script");
        self.value(&format!("if (!window.axe) {{ {script} }}; 0"));
        let found = self.value(
            "axe.run().then(({violations}) => violations.map(({id, nodes}) =>
                `${id}: ${nodes.slice(0, 3).map(node => node.html).join(' ')}`))",
        );
        serde_json::from_value(found).expect("a list")
    }

    /// Moves the mouse to the middle of an element.
    pub(crate) fn point_at(&mut self, selector: &str) {
        let place = self.middle(selector);
        let event = json!({"type": "mouseMoved", "x": place[0], "y": place[1]});
        self.call("Input.dispatchMouseEvent", event);
    }

    /// Touches the middle of an element, and lifts the finger.
    pub(crate) fn tap(&mut self, selector: &str) {
        let place = self.middle(selector);
        let points = json!([{"x": place[0], "y": place[1]}]);
        for event in [
            json!({"type": "touchStart", "touchPoints": points}),
            json!({"type": "touchEnd", "touchPoints": []}),
        ] {
            self.call("Input.dispatchTouchEvent", event);
        }
    }

    /// Touches the middle of an element until an expression holds: a page that is being laid out again misses a touch.
    pub(crate) fn tap_until(&mut self, selector: &str, expression: &str) {
        const LOOKS: usize = 20;
        let start = now_secs();
        loop {
            self.tap(selector);
            let soon = format!(
                "new Promise(done => {{
                    let left = {LOOKS};
                    const look = () => ({expression}) ? done(true) : left-- ? setTimeout(look, 50) : done(false);
                    look();
                }})"
            );
            if self.value(&soon) == true {
                return;
            }
            assert!(now_secs() - start < PATIENCE.as_secs(), "{expression}");
        }
    }

    fn middle(&mut self, selector: &str) -> Value {
        let selector = json!(selector);
        // The page hears of scrolling with the next frame.
        self.value(&format!(
            "new Promise(done => {{
                const element = document.querySelector({selector});
                element.scrollIntoView({{behavior: 'instant', block: 'center'}});
                requestAnimationFrame(() => requestAnimationFrame(() => {{
                    const {{left, top, width, height}} = element.getBoundingClientRect();
                    done([left + width / 2, top + height / 2]);
                }}));
            }})"
        ))
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", asked);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression holds. It may name what the script of the page defines, although that may not be loaded yet.
    pub(crate) fn wait_for(&mut self, expression: &str) {
        // Looked at in the page: a loop here would load the machine.
        let looked = format!(
            "new Promise((done, fail) => {{
                const holds = () => {{
                    try {{ return ({expression}); }}
                    catch (error) {{ if (error instanceof ReferenceError) return false; throw error; }}
                }};
                const look = () => {{
                    try {{ holds() ? done(true) : setTimeout(look, 50); }} catch (error) {{ fail(error); }}
                }};
                look();
            }})"
        );
        assert_eq!(self.value(&looked), true, "{expression}");
    }

    /// Presses keys one after the other: letters, or names such as `Tab`.
    pub(crate) fn press(&mut self, keys: &[&str]) {
        for key in keys {
            let (text, code) = match *key {
                "Enter" => ("\r", 13),
                "Tab" => ("", 9),
                "Escape" => ("", 27),
                "End" => ("", 35),
                "Home" => ("", 36),
                "ArrowLeft" => ("", 37),
                "ArrowDown" => ("", 40),
                letters => (letters, 0),
            };
            let mut event = json!({"type": "keyDown", "key": key, "text": text});
            if code > 0 {
                event["windowsVirtualKeyCode"] = code.into();
                event["code"] = (*key).into();
            }
            self.call("Input.dispatchKeyEvent", event.clone());
            event["type"] = "keyUp".into();
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Types a text where the cursor is.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// A picture of the whole page, as PNG in base64.
    pub(crate) fn picture(&mut self) -> String {
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.call("Page.captureScreenshot", whole);
        picture["data"].as_str().expect("a picture").to_owned()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let params_text = params.to_string();
        let mut message = json!({"id": self.next, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        self.socket
            .send(Message::text(message.to_string()))
            .expect("DevTools listens");
        let start = now_secs();
        loop {
            // Events of the page may come again and again.
            assert!(
                now_secs() - start < PATIENCE.as_secs(),
                "{method}: {params_text}"
            );
            let Message::Text(text) = self.socket.read().expect("DevTools answers") else {
                continue;
            };
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            if answer["id"] == self.next {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            match answer["method"].as_str() {
                Some("Runtime.exceptionThrown") => self.complaints.push(answer.to_string()),
                Some("Log.entryAdded") if answer["params"]["entry"]["level"] == "error" => {
                    self.complaints.push(answer.to_string());
                }
                _ => {}
            }
        }
    }
}
