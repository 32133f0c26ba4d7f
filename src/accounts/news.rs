//! Redis, where who changes an account says so: on Flexisip's channel, in Flexisip's words.

use futures_util::StreamExt as _;
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisError, TlsCertificates,
    aio::{PubSubSink, PubSubStream},
};
use serde::Deserialize;
use std::{fmt, fs, io, path::PathBuf, time::Duration};
use tokio::time::timeout;

/// Where news of accounts is published.
pub const CHANNEL: &str = "flexisip/B2BUA/account";
/// How long Redis may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How to reach Redis: the keys `redis-…` of `[module::Registrar]`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// `redis-server-domain`
    pub host: String,
    /// `redis-server-port`
    pub port: u16,
    /// `redis-auth-user`; empty with a password: the one way of old.
    pub user: String,
    /// `redis-auth-password`; empty: none is asked for.
    pub password: String,
    /// `redis-connection`
    pub link: Link,
    /// `redis-subscription-keep-alive-check-period`: after so much silence Redis is asked whether it is there.
    pub keep_alive: Duration,
}

/// How the connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// `tcp`
    Clear,
    /// `tls-server-auth`: with the authorities of that file, or those of the machine.
    Tls {
        /// `redis-tls-cafile`
        authorities: Option<PathBuf>,
    },
    /// `tls-mutual`
    MutualTls {
        /// `redis-tls-cafile`
        authorities: Option<PathBuf>,
        /// `redis-tls-certificate`
        certificate: PathBuf,
        /// `redis-tls-key`
        key: PathBuf,
    },
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 6379,
            user: String::new(),
            password: String::new(),
            link: Link::Clear,
            keep_alive: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

/// That an account is new, has changed or has gone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Tidings {
    /// Of its URI.
    pub username: String,
    /// Of its URI.
    pub domain: String,
    /// What `updateQuery` finds it by.
    pub identifier: String,
}

/// Why there is no news.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewsError {
    /// What Redis or the network says.
    #[error("{0}")]
    Redis(#[from] RedisError),
    /// It does not answer.
    #[error("no answer within {} s", ANSWER.as_secs())]
    Silent,
    /// It has hung up.
    #[error("the connection has ended")]
    Ended,
    /// A certificate or key.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// A connection that is subscribed.
pub(super) struct Subscription {
    sink: PubSubSink,
    stream: PubSubStream,
    keep_alive: Duration,
}

impl Subscription {
    /// Connects and subscribes.
    pub(super) async fn open(settings: &RedisSettings) -> Result<Self, NewsError> {
        let client = client(settings)?;
        let opened = async {
            let mut subscribed = client.get_async_pubsub().await?;
            subscribed.subscribe(CHANNEL).await?;
            Ok::<_, RedisError>(subscribed)
        };
        let (sink, stream) = answered(opened).await?.split();
        Ok(Self {
            sink,
            stream,
            keep_alive: settings.keep_alive.max(Duration::from_secs(1)),
        })
    }
    /// The next news. What cannot be read is left out, and the log says so.
    pub(super) async fn next(&mut self) -> Result<Tidings, NewsError> {
        loop {
            #[expect(
                clippy::disallowed_methods,
                reason = "a Redis that has vanished does not say so"
            )]
            let heard = timeout(self.keep_alive, self.stream.next()).await;
            match heard {
                Ok(Some(message)) => match serde_json::from_slice(message.get_payload_bytes()) {
                    Ok(tidings) => return Ok(tidings),
                    Err(error) => tracing::error!(channel = CHANNEL, %error, "a message that cannot be read"),
                },
                Ok(None) => return Err(NewsError::Ended),
                Err(_) => {
                    answered(self.sink.ping::<redis::Value>()).await?;
                }
            }
        }
    }
}

async fn answered<T>(asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, NewsError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a Redis that has vanished does not say so"
    )]
    let answer = timeout(ANSWER, asked).await;
    Ok(answer.map_err(|_| NewsError::Silent)??)
}

/// How to reach that Redis.
pub(super) fn client(settings: &RedisSettings) -> Result<Client, NewsError> {
    let (host, port) = (settings.host.clone(), settings.port);
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let redis = RedisConnectionInfo {
        db: 0,
        username: given(&settings.user),
        password: given(&settings.password),
        protocol: ProtocolVersion::RESP2,
    };
    let (authorities, own) = match &settings.link {
        Link::Clear => {
            let addr = ConnectionAddr::Tcp(host, port);
            return Ok(Client::open(ConnectionInfo { addr, redis })?);
        }
        Link::Tls { authorities } => (authorities, None),
        Link::MutualTls {
            authorities,
            certificate,
            key,
        } => (authorities, Some((certificate, key))),
    };
    // `redis` asks for the process's provider; somebody may have chosen one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|source| NewsError::File {
            path: path.clone(),
            source,
        })
    };
    let client_tls = match own {
        Some((certificate, key)) => Some(ClientTlsConfig {
            client_cert: read(certificate)?,
            client_key: read(key)?,
        }),
        None => None,
    };
    let certificates = TlsCertificates {
        client_tls,
        root_cert: authorities.as_ref().map(read).transpose()?,
    };
    let addr = ConnectionAddr::TcpTls {
        host,
        port,
        insecure: false,
        tls_params: None,
    };
    Ok(Client::build_with_tls(
        ConnectionInfo { addr, redis },
        certificates,
    )?)
}
