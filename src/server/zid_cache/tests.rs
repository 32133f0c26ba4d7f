use super::*;
use std::fs;

const FRESH: Zid = Zid([7; 12]);

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn peer(number: u32) -> Zid {
    let mut zid = [0; 12];
    zid[..4].copy_from_slice(&number.to_be_bytes());
    Zid(zid)
}

fn retained(rs1: u8, rs2: Option<u8>, verified: bool) -> Retained {
    let secret = |value| Secret(Zeroizing::new([value; 32]));
    Retained {
        rs1: Some(secret(rs1)),
        rs2: rs2.map(secret),
        verified,
    }
}

fn secrets(number: u32, retained: Retained, lifetime: Lifetime) -> Update {
    Update::Secrets {
        peer: peer(number),
        retained,
        lifetime,
    }
}

#[tokio::test]
async fn what_is_kept_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("new");
    let kept = retained(1, Some(2), true);
    {
        let cache = ZidCache::open(&folder, FRESH).await.unwrap();
        assert_eq!(cache.zid(), FRESH);
        assert_eq!(cache.retained(peer(1), at(0)).await.unwrap(), Retained::default());
        let update = secrets(1, kept.clone(), Lifetime::Forever);
        cache.update(&update, at(0)).await.unwrap();
        cache.pool.close().await;
    }
    let cache = ZidCache::open(&folder, Zid([8; 12])).await.unwrap();
    assert_eq!(cache.zid(), FRESH, "the first one for ever");
    assert_eq!(
        cache.retained(peer(1), at(u64::from(u32::MAX))).await.unwrap(),
        kept
    );
    for entry in fs::read_dir(&folder).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn updates_do_what_they_say() {
    let cache = ZidCache::in_memory(FRESH).await.unwrap();
    let now = at(0);
    for update in [
        secrets(1, retained(1, None, false), Lifetime::Forever),
        secrets(1, retained(2, Some(1), false), Lifetime::Forever),
        Update::Verified {
            peer: peer(1),
            verified: true,
        },
        Update::Verified {
            peer: peer(2),
            verified: true,
        },
    ] {
        cache.update(&update, now).await.unwrap();
    }
    assert_eq!(
        cache.retained(peer(1), now).await.unwrap(),
        retained(2, Some(1), true)
    );
    assert_eq!(cache.retained(peer(2), now).await.unwrap(), Retained::default());
    cache
        .update(&Update::Forget { peer: peer(1) }, now)
        .await
        .unwrap();
    assert_eq!(cache.retained(peer(1), now).await.unwrap(), Retained::default());
}

#[tokio::test]
async fn a_secret_expires_when_its_time_is_over() {
    let cache = ZidCache::in_memory(FRESH).await.unwrap();
    let update = secrets(1, retained(1, None, true), Lifetime::Seconds(60));
    cache.update(&update, at(0)).await.unwrap();
    assert_eq!(
        cache.retained(peer(1), at(59)).await.unwrap(),
        retained(1, None, true)
    );
    assert_eq!(
        cache.retained(peer(1), at(60)).await.unwrap(),
        Retained::default()
    );
}

#[tokio::test]
async fn strangers_push_out_strangers_only() {
    let options = SqliteConnectOptions::new().in_memory(true);
    let cache = ZidCache::connect(PathBuf::new(), options, FRESH, 10)
        .await
        .unwrap();
    let verified = secrets(0, retained(1, None, true), Lifetime::Forever);
    cache.update(&verified, at(0)).await.unwrap();
    for number in 1..=1_000 {
        let update = secrets(number, retained(2, None, false), Lifetime::Forever);
        cache.update(&update, at(u64::from(number))).await.unwrap();
        let row = sqlx::query("SELECT count(*) FROM peer")
            .fetch_one(&cache.pool)
            .await;
        let count: i64 = row.unwrap().try_get(0).unwrap();
        assert!(count <= 10 + PRUNE_EVERY as i64, "{count}");
    }
    assert_eq!(
        cache.retained(peer(0), at(2_000)).await.unwrap(),
        retained(1, None, true)
    );
    assert_eq!(
        cache.retained(peer(1), at(2_000)).await.unwrap(),
        Retained::default()
    );
    assert_eq!(
        cache.retained(peer(1_000), at(2_000)).await.unwrap(),
        retained(2, None, false)
    );
}

#[tokio::test]
async fn files_that_are_open_to_others_or_not_ours_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = ZidCache::open(directory.path(), FRESH).await.unwrap_err();
    assert!(
        matches!(error, ZidCacheError::Exposed { mode: 0o640, .. }),
        "{error}"
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "something else, long enough to be looked at ".repeat(50)).unwrap();
    let error = ZidCache::open(directory.path(), FRESH).await.unwrap_err();
    assert!(matches!(error, ZidCacheError::Sqlite { .. }), "{error}");
    assert!(error.to_string().contains(FILE), "{error}");
    fs::remove_file(&path).unwrap();
    let cache = ZidCache::open(directory.path(), FRESH).await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 2")
        .execute(&cache.pool)
        .await
        .unwrap();
    cache.pool.close().await;
    let error = ZidCache::open(directory.path(), FRESH).await.unwrap_err();
    assert!(matches!(error, ZidCacheError::Schema { found: 2, .. }), "{error}");
}
