//! The object-safe twin of [`super::Application`], by which the server holds any of them.

use super::{Application, BuildError, CallEvent, Decision, HeaderList, Registrations, Services, Standalone};
use crate::{
    call::{Question, Verdict},
    config::{Config, ConfigErrors, Key, Problem},
};
use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An application that the binary knows, before it is built: one line of its list.
#[derive(Clone, Copy)]
pub struct Registered {
    /// The value of `application=`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub help: &'static str,
    /// The keys of its section.
    pub keys: &'static [Key],
    build: Build,
}

type Build = for<'a> fn(&'a Config, &'a Services) -> Boxed<'a, Result<Built, ConfigErrors>>;

impl Registered {
    /// The entry of an application.
    pub const fn of<A: Application>() -> Self {
        Self {
            name: A::NAME,
            help: A::HELP,
            keys: A::KEYS,
            build: |config, services| Box::pin(build::<A>(config, services)),
        }
    }
    /// The name of its section: `b2bua-server::NAME`.
    pub fn section(&self) -> String {
        section(self.name)
    }
    /// Makes the application from its section. Nothing begins before it is in force ([`Built::take_over`]).
    ///
    /// # Errors
    /// All that is wrong with the section, each with its line.
    pub async fn build(&self, config: &Config, services: &Services) -> Result<Built, ConfigErrors> {
        (self.build)(config, services).await
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registered").field(&self.name).finish()
    }
}

fn section(name: &str) -> String {
    format!("b2bua-server::{name}")
}

async fn build<A: Application>(config: &Config, services: &Services) -> Result<Built, ConfigErrors> {
    let section = section(A::NAME);
    let settings = config.section::<A::Config>(&section)?;
    match A::build(settings, services).await {
        Ok(app) => Ok(Built {
            app: Box::new(app),
            registrations: services.registrations.clone(),
        }),
        Err(BuildError(faults)) => {
            let problems: Vec<Problem> = faults
                .iter()
                .flat_map(|(key, what)| config.refuse(&section, key, what, "").problems)
                .collect();
            Err(ConfigErrors::new(config.path(), problems))
        }
    }
}

/// An application that is made and not in force yet. Dropping it leaves no trace.
pub struct Built {
    app: Box<dyn Entering>,
    registrations: Registrations,
}

impl Built {
    /// It is in force from now on, in the place of `before`: what that one has registered goes, unless both are the same
    /// application, and what it still orders is void. To be called within the server's runtime.
    pub fn take_over(self, before: Option<&Bound>) -> Bound {
        self.registrations.enter();
        if before.is_some_and(|before| before.name() != self.app.name()) {
            self.registrations.retain([]);
            self.registrations.watch_trunks(Vec::new());
            self.registrations.retain_mailboxes([]);
        }
        self.app.take_over(before)
    }
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Built").field(&self.app.name()).finish()
    }
}

trait Entering: Send {
    fn name(&self) -> &'static str;
    fn take_over(self: Box<Self>, before: Option<&Bound>) -> Bound;
}

impl<A: Application> Entering for A {
    fn name(&self) -> &'static str {
        A::NAME
    }
    fn take_over(mut self: Box<Self>, before: Option<&Bound>) -> Bound {
        // Another application has nothing that this one could take over.
        let before = before.and_then(|before| before.0.as_any().downcast_ref::<A>());
        A::take_over(&mut self, before);
        Bound::new(*self)
    }
}

/// An application in use. Cheap to clone; a call keeps the one that it began with.
#[derive(Clone)]
pub struct Bound(Arc<dyn Erased>);

impl Bound {
    /// Wraps an application.
    pub fn new<A: Application>(app: A) -> Self {
        Self(Arc::new(Host(Arc::new(app))))
    }
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }
    /// Asks it where a request goes that begins no call.
    pub fn route_standalone(
        &self,
        request: Box<Standalone>,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'static>> {
        self.0.clone().route_standalone(request)
    }
    /// What it has to say of how it is.
    pub fn report(&self) -> Option<serde_json::Value> {
        self.0.report()
    }
    /// What it remembers about a new call.
    pub fn begin(&self) -> CallState {
        CallState(self.0.begin())
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bound").field(&self.name()).finish()
    }
}

/// One call as its application sees it: the application and what it remembers about the call.
pub struct CallState(Box<dyn ErasedCall>);

impl CallState {
    /// Asks the application. Dropping the future withdraws the question; what it remembers stays.
    pub fn ask(&mut self, question: Question) -> Pin<Box<dyn Future<Output = Verdict> + Send + '_>> {
        self.0.ask(question)
    }
    /// Which header fields cross inside the call.
    pub fn forwarded(&self) -> Arc<HeaderList> {
        self.0.forwarded()
    }
    /// Tells the application what happened.
    pub fn observe(&mut self, event: &CallEvent) {
        self.0.observe(event);
    }
}

trait Erased: Send + Sync {
    fn name(&self) -> &'static str;
    fn as_any(&self) -> &dyn Any;
    fn begin(&self) -> Box<dyn ErasedCall>;
    fn report(&self) -> Option<serde_json::Value>;
    fn route_standalone(self: Arc<Self>, request: Box<Standalone>) -> Boxed<'static, Decision>;
}

trait ErasedCall: Send {
    fn ask(&mut self, question: Question) -> Boxed<'_, Verdict>;
    fn forwarded(&self) -> Arc<HeaderList>;
    fn observe(&mut self, event: &CallEvent);
}

struct Host<A>(Arc<A>);

impl<A: Application> Erased for Host<A> {
    fn name(&self) -> &'static str {
        A::NAME
    }
    fn as_any(&self) -> &dyn Any {
        &*self.0
    }
    fn begin(&self) -> Box<dyn ErasedCall> {
        Box::new(HostCall::<A> {
            app: self.0.clone(),
            call: A::Call::default(),
        })
    }
    fn report(&self) -> Option<serde_json::Value> {
        self.0.report()
    }
    fn route_standalone(self: Arc<Self>, request: Box<Standalone>) -> Boxed<'static, Decision> {
        Box::pin(async move { self.0.route_standalone(&request).await })
    }
}

struct HostCall<A: Application> {
    app: Arc<A>,
    call: A::Call,
}

impl<A: Application> ErasedCall for HostCall<A> {
    fn ask(&mut self, question: Question) -> Boxed<'_, Verdict> {
        let Self { app, call } = self;
        Box::pin(async move {
            match question {
                Question::Route(invite) => Verdict::Route(app.route(call, &invite).await),
                Question::Rescue(failure) => Verdict::Rescue(app.rescue(call, &failure).await),
                Question::InCall(request) => Verdict::InCall(app.in_call(call, &request).await),
                Question::Handover(handover) => Verdict::Handover(app.handover(call, &handover).await),
            }
        })
    }
    fn forwarded(&self) -> Arc<HeaderList> {
        self.app.forwarded()
    }
    fn observe(&mut self, event: &CallEvent) {
        self.app.observe(&mut self.call, event);
    }
}
