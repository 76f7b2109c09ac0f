import dataclasses
import json

import pyarrow.parquet as pq
import pytest
import yaml

from jobs.command.settings import build, load_config
from jobs.command.yaml_files import read_yaml
from jobs.run_directory.config import RunConfig
from jobs.sweep.command import note_loggers, read_sweep
from jobs.sweep.page import pareto, render_page
from jobs.trials.config import SweepConfig
from jobs.trials.records import Record, Records, Rung, best_record, write_results
from jobs.trials.resources import (
    TrialResources,
    concurrent_trials,
    fitted,
    trial_resources,
    with_counts,
)
from jobs.trials.searches import optuna_search
from jobs.trials.trial import Sweep, _settings, describe
from otcondense.errors import InputError

LATENTS = (
    "models.sit.training.data=latents",
    "models.sit.sampling.clip=false",
    "pixels={size: 256, channels: 3}",
)
SPACE = {"kappa": [1.1, 1.5], "selection.budget": [5, 10]}


def sweep_config(**changes):
    return build(SweepConfig, {"space": SPACE, **changes}, "sweep.yaml")


def base(tmp_path, *overrides):
    return load_config("jobs/configs/demo.yaml", list(overrides), str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {}}, "space must name at least one setting"),
        ({"space": {"kappa": []}}, "each with at least one value"),
        (
            {"space": {"source.path": ["a"]}},
            "space cannot vary source.path: all trials of a sweep share",
        ),
        ({"space": {"evaluation.neighbours": [3]}}, "cannot vary evaluation.neighbours"),
        (
            {"space": {"kappa": {"low": 2, "high": 1}}, "search": "random", "num_trials": 2},
            "low must be below high",
        ),
        (
            {"space": {"kappa": {"low": 1, "high": 2}}},
            "a grid needs a list of values for each setting",
        ),
        ({"search": "random"}, "search=random needs num_trials"),
        (
            {"metric": "objective"},
            "metric objective cannot compare trials: alpha, beta and kappa change its meaning",
        ),
        ({"metric": "fid"}, "metric of subset trials must be among frechet_distance"),
        ({"method": "best"}, "method must be among"),
        (
            {"search": "optuna", "num_trials": 2, "space": {"encoder.name": ["resnet18"]}},
            "optuna cannot vary encoder.name",
        ),
        ({"kinds": "full"}, "did you mean kind?"),
        ({"name": "../up"}, "name must be text of letters, digits, _ and -"),
    ],
)
def test_mistakes_in_a_sweep_are_refused(changes, message):
    with pytest.raises(InputError, match=message.replace("?", r"\?").replace(".", r"\.")):
        sweep_config(**changes)


def test_trials_share_a_run_and_the_settings_they_do_not_vary(tmp_path):
    sweep = Sweep(sweep_config(), base(tmp_path))
    trials = [sweep.trial(values) for values in sweep.planned()]
    assert [describe(trial.values) for trial in trials] == [
        "kappa=1.1 selection.budget=5",
        "kappa=1.1 selection.budget=10",
        "kappa=1.5 selection.budget=5",
        "kappa=1.5 selection.budget=10",
    ]
    assert len({trial.key for trial in trials}) == 4
    assert {trial.run.store.root for trial in trials} == {str(tmp_path / "run")}
    assert len({trial.run.features_directory(trial.run.config.encoder) for trial in trials}) == 1
    usual = base(tmp_path, "selection.settings.geometry_aware.kappa=1.5", "selection.budget=5")
    assert trials[2].run.selection_directory("geometry_aware") == Sweep(
        sweep.config, usual
    ).run.selection_directory("geometry_aware")


def test_an_invalid_trial_is_named(tmp_path):
    sweep = Sweep(sweep_config(space={"kappa": [0.5]}), base(tmp_path))
    with pytest.raises(InputError, match=r"kappa.*found 0.5"):
        sweep.trial({"kappa": 0.5})


def test_more_random_trials_keep_the_first_ones(tmp_path):
    space = {
        "kappa": {"low": 1, "high": 2},
        "alpha": {"low": 0.01, "high": 100, "log": True},
        "selection.budget": {"low": 2, "high": 4, "integer": True},
    }
    few, many = (
        Sweep(
            sweep_config(search="random", num_trials=count, space=space), base(tmp_path)
        ).planned()
        for count in (10, 200)
    )
    assert many[:10] == few
    assert {values["selection.budget"] for values in many} == {2, 3, 4}
    assert all(1 <= values["kappa"] <= 2 and 0.01 <= values["alpha"] <= 100 for values in many)
    assert 60 < sum(values["alpha"] < 1 for values in many) < 140
    other = Sweep(sweep_config(search="random", num_trials=10, space=space, seed=1), base(tmp_path))
    assert other.planned() != few


def test_full_trials_train_one_model_on_one_subset(tmp_path):
    second = "models.dit={training: {model: {name: DiT-demo/2}}, sampling: {}}"
    config = base(tmp_path, second)
    sweep = Sweep(sweep_config(kind="full", metric="fid", model="dit"), config)
    trial = sweep.trial(sweep.planned()[0])
    assert trial.run.trainings() == [("dit", "geometry_aware")]
    assert trial.run.config.selection.methods == ("geometry_aware",)
    with pytest.raises(
        InputError, match="full trials need a model of the configuration, there are sit, dit"
    ):
        Sweep(sweep_config(kind="full", metric="fid", model="unet"), config)


def test_full_trials_need_held_out_images(tmp_path):
    config = base(tmp_path, "held_out=null")
    with pytest.raises(InputError, match=r"full trials are measured against held_out images"):
        Sweep(sweep_config(kind="full", metric="fid"), config)
    assert Sweep(sweep_config(), config).directory


def test_the_directory_does_not_depend_on_resources_or_place(tmp_path):
    directory = Sweep(sweep_config(), base(tmp_path)).directory
    assert (
        directory
        == Sweep(
            sweep_config(max_concurrent=1, driver_cpus=1),
            base(tmp_path / "other", "selection.pool.num_actors=7"),
        ).directory
    )
    assert directory != Sweep(sweep_config(seed=1), base(tmp_path)).directory
    assert directory != Sweep(sweep_config(), base(tmp_path, "selection.seed=3")).directory


def test_every_actor_of_a_trial_has_a_bundle(tmp_path):
    config = base(
        tmp_path,
        "selection.pool={num_actors: 2, num_gpus: 0.5}",
        "samplers={num_actors: 1, num_cpus: 3, num_gpus: 0}",
        "models.sit.training.num_workers=2",
    )
    subset = trial_resources(Sweep(sweep_config(), config), {"CPU": 8.0})
    assert subset == TrialResources({}, [{"CPU": 1.0, "GPU": 0.5}] * 2, [])
    full = trial_resources(
        Sweep(sweep_config(kind="full", driver_gpus=1), config), {"CPU": 8.0, "GPU": 8.0}
    )
    assert full.bundles == [{"GPU": 1.0}, {"CPU": 3.0, "GPU": 0.5}, {"CPU": 1.0, "GPU": 0.5}]
    assert full.training == [{"GPU": 1.0, "CPU": 1.0}] * 2
    assert (full.total("CPU"), full.total("GPU")) == (6.0, 4.0)


def test_a_trial_leaves_room_for_others_where_numbers_are_automatic(tmp_path):
    sweep = Sweep(sweep_config(kind="full"), base(tmp_path, "models.sit.training.num_workers=null"))
    found = trial_resources(sweep, {"CPU": 96.0, "GPU": 8.0})
    assert found.bundles == [{"GPU": 1.0}, *2 * [{"CPU": 1.0, "GPU": 1.0}]]
    assert found.training == [{"GPU": 1.0, "CPU": 1.0}]
    counted = with_counts(sweep.base, {"CPU": 96.0, "GPU": 8.0})
    assert Sweep(sweep.config, counted).directory == sweep.directory
    stored = counted.model_dump(mode="json", exclude_unset=True)
    assert (stored["samplers"]["num_actors"], stored["samplers"]["num_gpus"]) == (2, 1.0)


@pytest.mark.parametrize(
    ("sweep", "settings", "expected"),
    [
        ({}, [], 1.0),
        ({"driver_gpus": 0.5}, [], 0.5),
        ({"driver_gpus": 0}, [], 0.0),
        ({}, ["judge.device=cpu"], 0.0),
        ({}, ["judge.device=cpu", "judges.x={name: test_resnet}"], 1.0),
        ({}, ["judge.device=cpu", *LATENTS], 1.0),
        ({"kind": "subset"}, [], 0.0),
    ],
)
def test_the_networks_in_the_process_of_a_trial_have_a_gpu(tmp_path, sweep, settings, expected):
    whole = ("selection.pool.num_gpus=0", "models.sit.training.num_workers=1", *settings)
    chosen = Sweep(sweep_config(**{"kind": "full", **sweep}), base(tmp_path, *whole))
    assert trial_resources(chosen, {"CPU": 96.0, "GPU": 8.0}).driver.get("GPU", 0) == expected


def test_a_trial_that_reserves_nothing_has_a_bundle_that_ray_accepts(tmp_path):
    config = base(
        tmp_path,
        "selection.pool={num_actors: 1, num_cpus: 0}",
        "samplers={num_actors: 1, num_cpus: 0}",
        "models.sit.training.num_workers=2",
    )
    found = trial_resources(Sweep(sweep_config(kind="full"), config), {"CPU": 2.0})
    assert found.bundles == [{"memory": 1.0}]
    assert found.training == [{"CPU": 1.0}] * 2
    assert found.total("CPU") == 2.0


def test_a_trial_without_workers_reserves_its_training_device(tmp_path):
    config = base(
        tmp_path,
        "models.sit.training.num_workers=0",
        "selection.pool={num_actors: 1, num_cpus: 0}",
        "samplers.num_actors=1",
    )
    on_cpu, on_gpu = (
        trial_resources(Sweep(sweep_config(kind="full"), config), {"CPU": 4.0, "GPU": gpus})
        for gpus in (0.0, 1.0)
    )
    assert (on_cpu.driver, on_cpu.training) == ({"CPU": 1.0}, [])
    assert (on_gpu.driver, on_gpu.training) == ({"CPU": 1.0, "GPU": 1.0}, [])


@pytest.mark.parametrize("kind", ["subset", "full"])
def test_a_trial_without_gpus_is_one_process_that_reserves_its_cpu(tmp_path, kind):
    sweep = Sweep(sweep_config(kind=kind), base(tmp_path))
    cluster = {"CPU": 2.0}
    sweep = dataclasses.replace(sweep, base=with_counts(sweep.base, cluster))
    found = trial_resources(sweep, cluster)
    assert (found.bundles, found.training) == ([{"CPU": 1.0}], [])
    assert concurrent_trials(found, cluster, None) == 2


@pytest.mark.parametrize("kind", ["subset", "full"])
@pytest.mark.parametrize(
    "workers",
    [
        ["selection.pool.num_actors=4"],
        ["selection.pool={num_actors: 1, num_cpus: 8}"],
        ["samplers.num_actors=6", "selection.pool.num_actors=1"],
        ["models.sit.training.num_workers=8", "selection.pool.num_actors=3"],
        ["models.sit.training.num_workers=8", "selection.pool.num_actors=0"],
        [],
    ],
)
def test_a_trial_fits_two_cores_whatever_the_workers(tmp_path, kind, workers):
    cluster = {"CPU": 2.0}
    given = Sweep(sweep_config(kind=kind, driver_cpus=3), base(tmp_path, *workers))
    sweep = fitted(dataclasses.replace(given, base=with_counts(given.base, cluster)), cluster)
    assert concurrent_trials(trial_resources(sweep, cluster), cluster, None) >= 1
    assert sweep.directory == given.directory  # the same trials, the same results
    assert fitted(sweep, cluster) is sweep


def test_a_trial_that_fits_keeps_its_workers(tmp_path):
    cluster = {"CPU": 8.0}
    given = Sweep(sweep_config(), base(tmp_path, "selection.pool.num_actors=4"))
    sweep = dataclasses.replace(given, base=with_counts(given.base, cluster))
    assert fitted(sweep, cluster) is sweep


@pytest.mark.parametrize(
    ("cluster", "limit", "expected"),
    [({"CPU": 4.0}, None, 2), ({"CPU": 7.0}, None, 3), ({"CPU": 7.0}, 1, 1)],
)
def test_never_more_trials_than_fit(cluster, limit, expected):
    assert concurrent_trials(TrialResources({}, [{"CPU": 1.0}] * 2, []), cluster, limit) == expected


def test_a_cluster_that_holds_no_trial_is_refused():
    with pytest.raises(
        InputError,
        match=r"a trial needs 3 CPUs, the cluster has 2; lower selection.pool.num_actors",
    ):
        concurrent_trials(
            TrialResources({}, [{"CPU": 1.0}] * 2, [{"CPU": 1.0}]), {"CPU": 2.0}, None
        )


def record(key, distance, state="finished", **values):
    return Record(
        key=key,
        fingerprint="f",
        values=values,
        state=state,
        rungs=(Rung(step=0, metrics={"frechet_distance": distance, "recall": distance}),),
    )


def test_the_best_trial_is_a_finished_one():
    records = [
        record("a", 2.0),
        record("b", 1.0, "stopped"),
        record("c", 1.5),
        Record(key="d", fingerprint="f", values={}, state="failed"),
    ]
    assert best_record(records, "frechet_distance", "lower").key == "c"
    assert best_record(records, "recall", "higher").key == "a"
    assert best_record(records[3:], "recall", "higher") is None


def test_results_and_the_configuration_of_the_best(tmp_path):
    sweep = Sweep(sweep_config(), base(tmp_path))
    failed = Record(
        key="c",
        fingerprint="f",
        values={"kappa": 9, "selection.budget": 10},
        state="failed",
        message="no\nroom",
    )
    records = [
        record("a", 2.0, **{"kappa": 1.1, "selection.budget": 5}),
        record("b", 1.0, **{"kappa": 1.5, "selection.budget": 5}),
        failed,
    ]
    assert write_results(sweep, records).key == "b"
    folder = tmp_path / "run" / sweep.directory
    rows = pq.read_table(folder / "results.parquet").to_pylist()
    assert [(row["trial"], row["kappa"], row["frechet_distance"]) for row in rows] == [
        ("a", 1.1, 2.0),
        ("b", 1.5, 1.0),
        ("c", 9.0, None),
    ]
    assert (folder / "results.csv").read_text().splitlines()[
        0
    ] == "trial,state,kappa,selection.budget,step,frechet_distance,recall,message"
    best = load_config(str(folder / "best.yaml"), [])
    assert best.selection.settings.geometry_aware.kappa == 1.5
    assert best.selection.budget == 5
    assert best.models == sweep.base.models
    assert best.run == sweep.base.run
    assert yaml.safe_load((folder / "best.yaml").read_text())["selection"]["methods"] == [
        "geometry_aware",
        "random",
    ]


def test_a_record_with_other_inputs_or_damage_is_not_read(tmp_path):
    records = Records(root=str(tmp_path), directory="sweeps/x")
    records.write(record("a", 1.0, kappa=1))
    assert records.read("a", "f").metric("recall") == 1.0
    assert records.read("a", "other") is None
    assert records.read("b", "f") is None
    path = tmp_path / "sweeps/x/trials/a.json"
    path.write_text(json.dumps({"key": "a"}))
    assert records.read("a", "f") is None


def test_loggers_of_earlier_versions_are_passed_over_in_one_sentence(tmp_path, capsys):
    files = {}
    for name, more in (("old", {"loggers": ["wandb"]}), ("new", {})):
        files[name] = str(tmp_path / f"{name}.yaml")
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"space": SPACE, **more}))
        note_loggers(files[name])
    assert capsys.readouterr().out.count("old.yaml: loggers is passed over; trackers of") == 1
    assert read_sweep(files["old"]) == read_sweep(files["new"])


def test_trackers_are_no_part_of_a_sweep(tmp_path):
    shown = base(tmp_path, "trackers={wandb: {project: x}, mlflow: {}, tensorboard: true}")
    plain = base(tmp_path)
    sweeps = [Sweep(sweep_config(), each) for each in (shown, plain)]
    assert len({sweep.directory for sweep in sweeps}) == 1
    assert len({sweep.trial({"kappa": 1.1}).key for sweep in sweeps}) == 1


def test_optuna_resumes_from_measured_trials():
    space = {"kappa": {"low": 1.1, "high": 2.0}, "alpha": [0.1, 1.0]}
    config = sweep_config(search="optuna", num_trials=8, space=space)
    settled = [
        record("a", 3.0, kappa=1.2, alpha=0.1),
        Record(key="b", fingerprint="f", values={}, state="failed"),
    ]
    first, second = (optuna_search(config, settled) for _ in range(2))
    assert first.suggest("1") == second.suggest("1")
    assert 1.1 <= first.suggest("2")["kappa"] <= 2.0
    assert [trial.value for trial in first._ot_study.trials if trial.value is not None] == [3.0]


def test_the_shipped_sweeps_are_valid(tmp_path):
    for name in ("demo", "demo-full"):
        values = read_yaml(f"jobs/configs/sweep/{name}.yaml")
        sweep = Sweep(build(SweepConfig, values, name), base(tmp_path))
        assert (
            len({sweep.trial(each).key for each in sweep.planned()})
            == {"demo": 12, "demo-full": 9}[name]
        )


def test_a_base_without_the_method_is_refused(tmp_path):
    config = RunConfig.model_validate(
        {"run": str(tmp_path), "source": {"path": "x"}, "selection": {"methods": ["random"]}}
    )
    with pytest.raises(
        InputError, match=r"method must be among selection.methods random, found geometry_aware"
    ):
        Sweep(sweep_config(), config)


def test_the_page_shows_every_trial_and_escapes_what_it_shows(tmp_path):
    sweep = Sweep(sweep_config(), base(tmp_path))
    failed = Record(
        key="c",
        fingerprint="f",
        values={"kappa": 9, "selection.budget": 10},
        state="failed",
        message="<script>alert(1)</script>",
    )
    records = [
        record("a", 2.0, **{"kappa": 1.1, "selection.budget": 5}),
        record("b", 1.0, **{"kappa": 1.5, "selection.budget": 5}),
        failed,
    ]
    page = render_page(sweep, records)
    assert page == render_page(sweep, records)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert '<tr class="ahead"><td>b</td>' in page  # one value of each: the noise is unknown
    for name in ("plot-coordinates", "plot-front", "plot-response-0", "plot-response-1"):
        assert f'id="{name}"' in page
    assert "2 trials finished, 1 trial failed" in page
    assert "http:" not in page.split("<script>")[0]
    assert "https:" not in page.split("<script>")[0]
    assert "'unsafe-inline'" not in page.split("script-src")[1].split(";")[0]


def test_names_of_settings_are_escaped(tmp_path):
    hostile = 'models."><img src=x onerror=alert(1)>.training.learning_rate'
    sweep = Sweep(sweep_config(space={hostile: (0.1, 0.2)}), base(tmp_path))
    page = render_page(
        sweep, [record("a", 2.0, **{hostile: 0.1}), record("b", 1.0, **{hostile: 0.2})]
    )
    assert "plot-response-0" in page
    assert "<img" not in page.split("<script>")[0]


def test_a_page_without_measured_trials_has_no_plots(tmp_path):
    page = render_page(
        Sweep(sweep_config(), base(tmp_path)),
        [Record(key="c", fingerprint="f", values={"kappa": 9}, state="failed")],
    )
    assert "1 trial failed" in page
    assert "data-plot=" not in page.split("<script>")[0]


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([[1, 2], [2, 1], [2, 2]], [True, True, False]),
        ([[1, 1], [1, 1]], [True, True]),
        ([[1, 1], [1, 2]], [True, False]),
        ([], []),
    ],
)
def test_the_pareto_front(points, front):
    assert pareto(points) == front


def test_newer_settings_at_their_default_keep_the_directory(tmp_path):
    """Finished trials of earlier versions are still found."""
    plain = Sweep(sweep_config(), base(tmp_path))
    model = _settings(plain.base)["models"]["sit"]
    assert "autoguidance" not in model["sampling"]
    assert model["training"]["keep_best"] is False
    changes = (
        "models.sit.training.keep_best=loss",
        "models.sit.training.keep_best=held_out_loss",
        "models.sit.sampling={cfg_scale: 1, autoguidance: {checkpoint_step: 1000}}",
    )
    changed = [Sweep(sweep_config(), base(tmp_path, change)).directory for change in changes]
    assert len({plain.directory, *changed}) == 4
