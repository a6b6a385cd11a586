//! The page in a real browser: headless Chromium, driven over a pipe, on a
//! registry that real nodes report to. Run by name where there is a Chromium:
//! `cargo test --test registry browser -- --ignored`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::nodes::{Reporting, until_kpi};
use super::{Running, attempt, batch, read};

const PATIENCE: Duration = Duration::from_secs(30);

/// A browser, its pipe, and one page in it.
struct Browser {
    child: Child,
    commands: File,
    answers: BufReader<File>,
    session: Option<String>,
    next: u64,
    /// What the page asked for, and what went wrong in it.
    requests: Vec<String>,
    errors: Vec<String>,
    _dir: tempfile::TempDir,
}

impl Browser {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (to, from) = (dir.path().join("to"), dir.path().join("from"));
        assert!(Command::new("mkfifo").args([&to, &from]).status().unwrap().success());
        // Without a name server it can reach this host alone, whatever it wants.
        let script = "exec chromium --headless --remote-debugging-pipe --no-first-run --disable-gpu \
            --disable-background-networking --disable-component-update --disable-dev-shm-usage \
            --host-resolver-rules='MAP * ~NOTFOUND, EXCLUDE 127.0.0.1' \"$@\" 3<\"$TO\" 4>\"$FROM\"";
        let mut command = Command::new("sh");
        command.args([
            "-c",
            script,
            "sh",
            &format!("--user-data-dir={}", dir.path().join("profile").display()),
        ]);
        if rustix::process::getuid().is_root() {
            command.arg("--no-sandbox");
        }
        command.env("TO", &to).env("FROM", &from).env("HOME", dir.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let commands = File::options().write(true).open(&to).unwrap();
        let answers = BufReader::new(File::open(&from).unwrap());
        let (session, next) = (None, 0);
        Self { child, commands, answers, session, next, requests: Vec::new(), errors: Vec::new(), _dir: dir }
    }

    fn open(&mut self, url: &str) {
        let page = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", target);
        self.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for area in ["Runtime", "Log", "Network", "Page"] {
            self.call(&format!("{area}.enable"), json!({}));
        }
        self.call("Page.navigate", json!({ "url": url }));
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut bytes = Vec::new();
            self.answers.read_until(0, &mut bytes).unwrap();
            bytes.pop_if(|b| *b == 0);
            assert!(!bytes.is_empty(), "the browser is gone");
            let said: Value = serde_json::from_slice(&bytes).unwrap();
            let params = &said["params"];
            match said["method"].as_str() {
                Some("Network.requestWillBeSent") => {
                    self.requests.push(params["request"]["url"].as_str().unwrap().to_owned());
                }
                Some("Runtime.exceptionThrown") => self.errors.push(params["exceptionDetails"].to_string()),
                Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                    self.errors.push(params["entry"].to_string());
                }
                _ => {}
            }
            if said["id"] == self.next {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].clone();
            }
        }
    }

    /// What an expression is in the page.
    fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    fn until(&mut self, expression: &str) {
        let begun = Instant::now();
        // The page may not be there yet.
        let safe = format!("(() => {{ try {{ return {expression} }} catch {{ return false }} }})()");
        while self.eval(&safe) != json!(true) {
            let state = self.eval("document.body.innerText");
            assert!(begun.elapsed() < PATIENCE, "never: {expression} in {state}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The figure that a field shows: the number, and its text.
    fn figure(&mut self, selector: &str) -> (Value, String) {
        let value = self.eval(&format!("document.querySelector('{selector}').dataset.value"));
        let text = self.eval(&format!("document.querySelector('{selector}').textContent"));
        (plain(&serde_json::from_str(value.as_str().unwrap()).unwrap()), text.as_str().unwrap().to_owned())
    }

    /// What can be looked at afterwards, where somebody asks for it.
    fn picture(&mut self, name: &str) {
        let Some(dir) = std::env::var_os("PAGE_PICTURES") else { return };
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let data = self.call("Page.captureScreenshot", params)["data"].as_str().unwrap().to_owned();
        std::fs::write(std::path::Path::new(&dir).join(format!("{name}.png.b64")), data).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// 37 and 37.0 are one number to a script.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(n) => n.as_f64().map_or(Value::Null, Value::from),
        Value::Array(all) => all.iter().map(plain).collect(),
        Value::Object(all) => all.iter().map(|(k, v)| (k.clone(), plain(v))).collect(),
        other => other.clone(),
    }
}

/// The page's figures against the API's, which do not change meanwhile.
fn agree(browser: &mut Browser, kpi: &Value) {
    for field in ["attempts", "connected", "path_changes", "failovers"] {
        let (value, text) = browser.figure(&format!("[data-field={field}]"));
        assert_eq!((value, text), (plain(&kpi[field]), kpi[field].to_string()), "{field}");
    }
    for field in ["mean_connect_ms", "p50_ms", "p95_ms", "moved"] {
        assert_eq!(browser.figure(&format!("[data-field={field}]")).0, plain(&kpi[field]), "{field}");
    }
    assert_eq!(browser.figure("[data-field=nodes]").0, plain(&kpi["population"]["nodes"]));
    for outcome in ["direct", "punched", "relayed", "unreachable"] {
        let shown = browser.eval(&format!("document.querySelector('[data-outcome={outcome}]').textContent"));
        assert_eq!(shown, kpi[outcome].to_string(), "{outcome}");
    }
    for criterion in kpi["criteria"].as_array().unwrap() {
        let name = criterion["name"].as_str().unwrap();
        let (value, text) = browser.figure(&format!("[data-criterion={name}]"));
        assert_eq!(value, plain(&criterion["value"]), "{name}");
        if criterion["unit"] == "ratio" && !value.is_null() {
            assert_eq!(text, format!("{:.1} %", value.as_f64().unwrap() * 100.0), "{name}");
        }
    }
    let drawn = browser.eval("document.querySelectorAll('#attempts-chart rect').length");
    let kinds =
        |p: &Value| ["direct", "punched", "relayed", "unreachable"].iter().filter(|o| p[**o] != 0).count();
    let bars: usize = kpi["series"].as_array().unwrap().iter().map(kinds).sum();
    assert_eq!(drawn, bars, "a bar for each outcome of each part");
}

/// The API's figures, once the page has heard of everything that they count:
/// nodes go on reporting how they are.
async fn caught_up(browser: &mut Browser, r: &Running, path: &str) -> Value {
    let begun = Instant::now();
    loop {
        let kpi = r.json(path).await;
        let attempts = browser.figure("[data-field=attempts]").0;
        let spread = browser.figure("[data-criterion=propagation]").0;
        let nodes = browser.figure("[data-field=nodes]").0;
        let told = [&kpi["attempts"], &kpi["criteria"][5]["value"], &kpi["population"]["nodes"]].map(plain);
        if told == [attempts, spread, nodes] {
            return kpi;
        }
        assert!(begun.elapsed() < PATIENCE, "the page stays behind {kpi}");
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn the_page_shows_what_real_nodes_reported_as_the_api_tells_it() {
    let r = Running::start(None).await;
    let a = Reporting::start("lab-1", &r.url(""), &[]).await;
    let at = [a.node.local_addr()];
    let mut fleet = vec![a];
    for name in ["lab-2", "lab-3", "lab-4"] {
        let mut node = Reporting::start(name, &r.url(""), &at).await;
        node.until("a link", |s| s.kpi.figures.connected > 0).await;
        fleet.push(node);
    }
    until_kpi(&r, "four nodes", |k| k["population"]["nodes"] == 4 && k["connected"].as_u64() >= Some(3))
        .await;
    // Dials among them go on for some seconds; and what loopback never does.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let hard = ["symmetric", "port-restricted"];
    let mut told = batch(77, vec![attempt(1, Some("relayed"), 1234, hard), attempt(2, None, 30_000, hard)]);
    told["reporter"]["name"] = json!("<img src=x onerror='document.title=666'><b>bold</b>");
    read(r.post(&told).await).await;

    let mut browser = tokio::task::block_in_place(Browser::start);
    browser.open(&r.url("/"));
    browser.until("document.querySelector('#state').textContent.startsWith('live')");
    let kpi = caught_up(&mut browser, &r, "/api/v1/kpi").await;
    assert!(kpi["attempts"].as_u64().unwrap() >= 5, "{kpi}");
    agree(&mut browser, &kpi);
    browser.picture("wide");

    // The matrix, cell by cell.
    let matrix = r.json("/api/v1/matrix").await;
    for cell in matrix["cells"].as_array().unwrap() {
        let pair = format!("{} {}", cell["from"].as_str().unwrap(), cell["to"].as_str().unwrap());
        let shown = browser.figure(&format!("[data-pair=\"{pair}\"]")).0;
        assert_eq!(shown, plain(&json!([cell["connected"], cell["attempts"]])), "{pair}");
    }

    // A name with markup is text, and nothing of it ran.
    let names = browser
        .eval("[...document.querySelectorAll('#nodes tbody tr td:first-child')].map(c => c.textContent)");
    let names: Vec<String> = serde_json::from_value(names).unwrap();
    assert_eq!(names.len(), 5);
    assert!(names.iter().any(|n| n.starts_with("<img src=x onerror=")), "{names:?}");
    assert_eq!(browser.eval("document.querySelectorAll('main img, #nodes b').length"), 0);
    assert_ne!(browser.eval("document.title"), "666");

    // Sorted by name, both ways, and said so.
    for (order, sign) in [("ascending", 1), ("descending", -1)] {
        browser.eval("document.querySelector('#nodes th[data-key=name] button').click()");
        let head = "document.querySelector('#nodes th[data-key=name]').getAttribute('aria-sort')";
        assert_eq!(browser.eval(head), order);
        let sorted = "(() => { const n = [...document.querySelectorAll('#nodes tbody tr td:first-child')].map(c => c.textContent); \
            return n.every((x, i) => i === 0 || n[i - 1].localeCompare(x) * SIGN <= 0); })()";
        assert_eq!(browser.eval(&sorted.replace("SIGN", &sign.to_string())), true, "{order}");
    }

    // It is live: what is reported now is there without a reload.
    let more = batch(78, vec![attempt(1, Some("punched"), 40, ["full-cone", "symmetric"])]);
    read(r.post(&more).await).await;
    let kpi = caught_up(&mut browser, &r, "/api/v1/kpi").await;
    agree(&mut browser, &kpi);

    // Another window.
    browser.eval("document.querySelector('input[value=\"7d\"]').click()");
    browser.until("document.querySelector('#state').textContent.startsWith('live')");
    let week = caught_up(&mut browser, &r, "/api/v1/kpi?window=7d").await;
    agree(&mut browser, &week);

    // Everything that can be operated or is drawn has a name.
    let nameless = browser.eval(
        "[...document.querySelectorAll('button, input, svg, section, [role=region]')].filter(e => e.checkVisibility() \
         && !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim() \
         || (e.labels && e.labels.length))).length",
    );
    assert_eq!(nameless, 0);

    // On a phone nothing is wider than the screen; dark where the system is.
    let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true });
    browser.call("Emulation.setDeviceMetricsOverride", phone);
    let light = browser.eval("getComputedStyle(document.body).backgroundColor");
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.call("Emulation.setEmulatedMedia", dark);
    assert_ne!(browser.eval("getComputedStyle(document.body).backgroundColor"), light);
    assert_eq!(browser.eval("document.documentElement.scrollWidth"), 360);
    browser.picture("phone");

    // It asked this registry alone, and nothing went wrong in it.
    let ours = r.url("/");
    assert!(
        browser.requests.iter().all(|u| u.starts_with(&ours) || u.starts_with("data:")),
        "{:?}",
        browser.requests
    );
    assert_eq!(browser.errors, Vec::<String>::new());

    // A registry that is gone is said to be, with the figures that are left.
    for node in fleet {
        node.node.stop().await;
    }
    let attempts = week["attempts"].clone();
    r.registry.stop().await;
    browser.until("document.querySelector('#state').textContent.startsWith('no news from the registry')");
    assert_eq!(browser.figure("[data-field=attempts]").0, plain(&attempts));
    assert_eq!(browser.eval("document.querySelector('#figures').classList.contains('stale')"), true);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn the_page_says_that_nobody_has_reported_or_lately_and_asks_for_a_token() {
    let token = "0123456789abcdef";
    let r = Running::start(Some(token)).await;
    let mut browser = tokio::task::block_in_place(Browser::start);
    browser.open(&r.url("/"));
    browser.until("document.querySelector('#state').textContent.startsWith('a token is needed')");
    assert_eq!(browser.eval("document.querySelector('#figures').hidden"), true);
    let enter = |text: &str| {
        format!(
            "document.querySelector('#login input').value = '{text}'; document.querySelector('#login form').requestSubmit()"
        )
    };
    browser.eval(&enter("not the token at all"));
    browser.until("document.querySelector('#state').textContent.startsWith('the token is wrong')");
    browser.eval(&enter(token));
    browser.until("document.querySelector('#state').textContent.startsWith('nobody has reported yet')");
    assert_eq!(browser.eval("document.querySelector('#login').checkVisibility()"), false);
    assert_eq!(
        browser.eval("document.querySelector('[data-criterion=connectivity]').textContent"),
        "-",
        "unknown is no nought"
    );

    // A report whose reporter fell silent long ago, by the database's clock.
    let one = batch(1, vec![attempt(1, Some("direct"), 5, ["none", "none"])]);
    let post = r.client.post(r.url("/api/v1/reports")).header("content-type", "application/json");
    read(post.header("authorization", format!("Bearer {token}")).body(one.to_string()).send().await.unwrap())
        .await;
    browser.until("document.querySelector('#state').textContent.startsWith('live')");
    let db = rusqlite::Connection::open(r.dir.path().join("registry.db")).unwrap();
    db.execute("UPDATE nodes SET last_seen = last_seen - 1200000", []).unwrap();
    browser.until(
        "document.querySelector('#state').textContent.startsWith('stale: nobody has reported for 20 min')",
    );
    assert_eq!(browser.eval("document.querySelector('#figures').classList.contains('stale')"), true);
}
