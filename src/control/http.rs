//! The server's own HTTP listener, for Prometheus, for what watches health, and for `b2bua calls`. It only reads, and asks
//! nobody who he is: it belongs on the loopback address, or behind who asks.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | the counts, for Prometheus |
//! | `/healthz` | 200 while messages still find their way to calls |
//! | `/readyz` | 200 while new calls are taken; 503 when the server drains or is full |
//! | `/calls` | the calls that run, as JSON |
//! | `/accounts` | providers and their accounts, as JSON; 404 where the application has none |

use super::metrics;
use crate::server::{Readiness, Server};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, Version, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Connections at one time; more wait in the kernel.
const MOST_CONNECTIONS: usize = 32;
/// How long a request may take to come, and a connection to say nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may be there at all.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a dispatcher that lives takes at most to say so.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Octets of a request's line and header.
const LARGEST: usize = 16 * 1024;

/// A listener that answers until it is dropped.
#[derive(Debug)]
pub struct Http {
    local: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Http {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Http {
    /// Listens, and answers for that server.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(address: SocketAddr, server: Arc<Server>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let local = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, local, server));
        Ok(Self { local, task })
    }
    /// Where, with the port that the kernel chose.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver: no connection is waited for for ever"
)]
async fn accept(listener: TcpListener, local: SocketAddr, server: Arc<Server>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // One list of calls at a time: it asks every call.
    let listing = Arc::new(Semaphore::new(1));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: calls need them more.
                tracing::debug!("no connection for HTTP: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let desk = Desk {
            server: server.clone(),
            listing: listing.clone(),
            loopback: local.ip().is_loopback(),
        };
        tokio::spawn(async move {
            let _ = timeout(LONGEST, serve(stream, desk)).await;
            drop(place);
        });
    }
}

/// What a connection's task has of the server.
struct Desk {
    server: Arc<Server>,
    listing: Arc<Semaphore>,
    loopback: bool,
}

async fn serve(stream: TcpStream, desk: Desk) {
    let desk = &desk;
    let service = service_fn(move |request| async move { Ok::<_, Infallible>(desk.answer(request).await) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(LARGEST)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!("HTTP: {error}");
    }
}

fn say(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    say(status, "text/plain; charset=utf-8", body)
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if self.loopback && !is_for_us(&request) {
            // A page in a browser on this machine may have a name of its own for our address.
            return text(StatusCode::FORBIDDEN, "this listener is for this machine alone\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
            let allowed = header::HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, allowed);
            return response;
        }
        match request.uri().path() {
            "/metrics" => self.metrics(),
            "/healthz" => match self.readiness().await {
                Some(_) => text(StatusCode::OK, "ok\n"),
                None => text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the dispatcher does not respond\n",
                ),
            },
            "/readyz" => match self.readiness().await {
                Some(Readiness::Ready) => text(StatusCode::OK, "ready\n"),
                Some(Readiness::Full) => text(StatusCode::SERVICE_UNAVAILABLE, "full: max-calls are there\n"),
                Some(Readiness::Stopping) => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
                None => text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the dispatcher does not respond\n",
                ),
            },
            "/calls" => self.calls().await,
            "/accounts" => match self.server.report().map(|report| serde_json::to_vec(&report)) {
                Some(Ok(body)) => say(StatusCode::OK, "application/json", body),
                Some(Err(_)) => text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the accounts cannot be written\n",
                ),
                None => text(StatusCode::NOT_FOUND, "the application has no accounts\n"),
            },
            "/" => text(StatusCode::OK, "/metrics\n/healthz\n/readyz\n/calls\n/accounts\n"),
            _ => text(
                StatusCode::NOT_FOUND,
                "there is /metrics, /healthz, /readyz, /calls and /accounts\n",
            ),
        }
    }
    /// `None`: the dispatcher does not respond.
    #[expect(clippy::disallowed_methods, reason = "a task that hangs is not waited for")]
    async fn readiness(&self) -> Option<Readiness> {
        timeout(HEARTBEAT, self.server.readiness()).await.ok().flatten()
    }
    fn metrics(&self) -> Response<Full<Bytes>> {
        match metrics::render(self.server.gauges(), self.server.media()) {
            Ok(body) => say(StatusCode::OK, metrics::CONTENT_TYPE, body),
            Err(_) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the metrics cannot be written\n",
            ),
        }
    }
    async fn calls(&self) -> Response<Full<Bytes>> {
        let Ok(_turn) = self.listing.try_acquire() else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "somebody else is being told\n");
        };
        match serde_json::to_vec(&self.server.calls().await) {
            Ok(body) => say(StatusCode::OK, "application/json", body),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the calls cannot be written\n"),
        }
    }
}

/// Whether a request names an address or `localhost`, as who asks on purpose does.
fn is_for_us<B>(request: &Request<B>) -> bool {
    let host = request.headers().get(header::HOST);
    let Some(host) = host else {
        return request.version() < Version::HTTP_11;
    };
    let host = host.to_str().unwrap_or_default();
    let address = host.parse::<SocketAddr>().is_ok() || host.parse::<std::net::IpAddr>().is_ok();
    let name = host.split(':').next().unwrap_or_default();
    address || host == "[::1]" || name.eq_ignore_ascii_case("localhost")
}
