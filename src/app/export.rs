//! `--prometheus`: watches without a screen, and answers whoever scrapes.
//!
//! ```text
//!   this thread: sampler -> model <- lock -> one report for each scrape: the server's thread
//! ```

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::open::Opened;
use super::wanted::Wanted;
use super::{Failure, live, open};
use crate::model::Model;
use crate::report::Report;
use crate::view::prometheus;

/// Where the numbers are.
const PATH: &str = "/metrics";
/// Connections that are answered at once; more wait.
const MOST_CONNECTIONS: usize = 16;
/// How long one may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a request.
const MAX_REQUEST: usize = 16 << 10;

/// Watches the target, and serves its numbers until the process is told to end.
///
/// # Errors
///
/// The address cannot be listened on, or the target cannot be reached at first. One that goes away later is waited for.
pub(super) fn run(wanted: &Wanted, address: SocketAddr) -> Result<(), Failure> {
    if wanted.stops_for_a_key() {
        return Err(Failure::Usage(
            "with --prometheus there is no key to let a stopped core go on: --tripwire notes stores without stopping"
                .into(),
        ));
    }
    // An address that is taken is told before anything is attached to.
    let cannot = |error: io::Error| {
        Failure::Error(format!("cannot listen on {address}: {error}; choose another with --prometheus=ADDRESS:PORT"))
    };
    let listener = std::net::TcpListener::bind(address).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let ended = live::note_the_end()?;
    let Opened { mut sampler, model, .. } = open::open(wanted, open::For::Watching, &open::Taping::Never)?;
    let model = Arc::new(Mutex::new(model));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shown = Arc::clone(&model);
    let serving = move || {
        runtime.block_on(async {
            match TcpListener::from_std(listener) {
                Ok(listener) => serve(listener, shown).await,
                Err(error) => tracing::error!("the server did not start: {error}"),
            }
        });
    };
    std::thread::Builder::new().name("metrics".into()).spawn(serving)?;
    if !address.ip().is_loopback() {
        eprintln!("note: whoever reaches {address} can read these numbers: there is no password");
    }
    let mut out = io::stdout();
    writeln!(out, "http://{address}{PATH}")?;
    out.flush()?;
    while !ended.load(Ordering::Relaxed) {
        let before = sampler.now();
        let observation = sampler.refresh();
        model.lock().unwrap_or_else(PoisonError::into_inner).ingest(observation);
        if let Some(why) = sampler.refused() {
            return Err(Failure::Unreachable(why.to_owned()));
        }
        sampler.wait(sampler.now().saturating_sub(before));
    }
    Ok(())
}

/// Answers until the process ends.
async fn serve(listener: TcpListener, model: Arc<Mutex<Model>>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, for one: others may close some meanwhile.
                tracing::warn!("a connection was not taken: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let model = Arc::clone(&model);
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| {
                let response = answer(&request, &model);
                async move { Ok::<_, Infallible>(response) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(MAX_REQUEST)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!("a connection ended: {error}");
            }
        });
    }
}

fn answer(request: &Request<Incoming>, model: &Mutex<Model>) -> Response<Full<Bytes>> {
    let (status, kind, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, PATH) => {
            let report = Report::new(&model.lock().unwrap_or_else(PoisonError::into_inner));
            (StatusCode::OK, prometheus::CONTENT_TYPE, prometheus::text(&report))
        }
        (&Method::GET | &Method::HEAD, _) => {
            (StatusCode::NOT_FOUND, "text/plain", format!("the numbers are at {PATH}\n"))
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "there is nothing to change here\n".into()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}
