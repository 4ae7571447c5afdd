from __future__ import annotations

import asyncio

import pytest

from app.operations.lag import LoopLag
from app.operations.static import STATIC
from tests.support.web_app import Web


async def test_health_readiness_metrics_and_the_description(web: Web) -> None:
    async with web.anonymous() as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        ready = await client.get("/readyz")
        checks = ready.json()["checks"]
        assert (ready.status_code, ready.json()["ready"]) == (503, False), "no render process here"
        assert (checks["database"], checks["clock"], checks["disk"]) == ("ok", "ok", "ok")
        assert checks["render"] != "ok"
        assert web.settings.runtime_database_url not in ready.text
        metrics = await client.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert 'cloudfilm_loop_lag_seconds{quantile="0.99"}' in metrics.text
        document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert document["paths"]["/api/studies"]["get"]["x-permission"] == "study.list"
    assert len(document["paths"]) > 20


async def test_lag_is_seen() -> None:
    lag = LoopLag(interval_s=0.001, samples=50)
    task = asyncio.create_task(lag.run())
    for _ in range(20):
        await asyncio.sleep(0.002)
    calm = lag.quantile(0.5)
    busy = asyncio.get_running_loop().time() + 0.1
    while asyncio.get_running_loop().time() < busy:
        pass
    await asyncio.sleep(0.005)
    task.cancel()
    assert lag.quantile(1.0) >= 0.09
    assert calm < lag.quantile(1.0)
    assert LoopLag().quantile(0.99) == 0.0


@pytest.mark.parametrize("path", ["/assets/..%2fmain.py", "/assets/none.js", "/assets/.", "/assets/%2e%2e"])
async def test_nothing_outside_the_built_client_is_served(web: Web, path: str) -> None:
    async with web.anonymous() as client:
        answer = await client.get(path)
    assert answer.status_code == 404


async def test_the_front_door_leads_to_the_study_list(web: Web) -> None:
    async with web.anonymous() as client:
        answer = await client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (303, "/studies")
        page = await client.get("/login", headers={"Accept": "text/html"})
    assert page.status_code == (200 if (STATIC / "staff.html").is_file() else 404)
