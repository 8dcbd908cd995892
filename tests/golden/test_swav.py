"""SwAV against the numbers of the original: Sinkhorn, loss, queue, LARC, schedule."""

import multiprocessing
import socket

import numpy as np
import pytest
import torch
import torch.distributed as dist

from urbanssl.ssl.larc import LARC
from urbanssl.ssl.prototypes import normalise_rows
from urbanssl.ssl.schedules import swav_schedule
from urbanssl.ssl.sinkhorn import sinkhorn
from urbanssl.ssl.swav_loss import assignments, swapped_prediction


def test_assignments_are_those_of_the_reference(golden):
    vectors = golden("swav_sinkhorn.npz")
    for case in vectors.cases("scores"):
        scores = torch.from_numpy(vectors[f"{case}_scores"])
        # The cases of large scores name no settings: they use the method's.
        epsilon = float(vectors.data.get(f"{case}_epsilon", 0.05))
        iterations = int(vectors.data.get(f"{case}_iters", 3))
        single = sinkhorn(scores, epsilon, iterations).numpy()
        double = sinkhorn(scores.double(), epsilon, iterations).numpy()
        if f"{case}_logdomain" in vectors:
            safe = vectors[f"{case}_logdomain"]
            vectors.compare(f"{case} safe, float32", single, safe, atol=1e-5)
            vectors.compare(f"{case} safe, float64", double, safe, rtol=1e-10, atol=1e-14)
        for ours, key, rtol, atol in ((single, "Q", 1e-4, 1e-6), (double, "Q64", 1e-10, 0)):
            reference = vectors[f"{case}_{key}"]
            # Where the reference overflows or a prototype dies it returns NaN; ours must not.
            if np.isfinite(reference).all() and f"{case}_logdomain" not in vectors:
                vectors.compare(f"{case} {key}", ours, reference, rtol=rtol, atol=atol)


def _rank(rank, world, port, cases, answers):
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=world)
    for case, (scores, epsilon, iterations) in cases.items():
        codes = sinkhorn(torch.from_numpy(scores[rank]), epsilon, iterations)
        answers.put((case, rank, codes.numpy()))
    dist.destroy_process_group()


def test_assignments_over_two_processes_are_those_of_the_reference(golden):
    vectors = golden("swav_sinkhorn_2proc.npz")
    cases = {
        case: (
            [vectors[f"{case}_scores_rank{rank}"] for rank in (0, 1)],
            float(vectors[f"{case}_epsilon"]),
            int(vectors[f"{case}_iters"]),
        )
        for case in vectors.cases("epsilon")
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [
        context.Process(target=_rank, args=(rank, 2, port, cases, answers)) for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    found = {
        (case, rank): codes
        for case, rank, codes in (answers.get(timeout=120) for _ in range(2 * len(cases)))
    }
    for process in processes:
        process.join()
    for case, (scores, epsilon, iterations) in cases.items():
        joined = np.concatenate([found[case, 0], found[case, 1]])
        for rank in (0, 1):
            reference = vectors[f"{case}_Q_rank{rank}"]
            vectors.compare(f"{case} rank {rank}", found[case, rank], reference, 1e-4, 1e-6)
        alone = sinkhorn(torch.from_numpy(np.concatenate(scores)), epsilon, iterations).numpy()
        vectors.compare(f"{case} joined", joined, vectors[f"{case}_Q_single"], 1e-4, 1e-6)
        vectors.compare(f"{case} alone", alone, vectors[f"{case}_Q_single"], 1e-4, 1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_loss_and_gradients_are_those_of_the_reference(golden, dtype):
    vectors = golden("swav_loss.npz")
    exact = dtype is torch.float64
    loose = {"rtol": 1e-9, "atol": 1e-12} if exact else {"rtol": 1e-3, "atol": 1e-6}
    close = {"rtol": 1e-9, "atol": 1e-12} if exact else {"rtol": 1e-5, "atol": 1e-6}
    for case in vectors.cases("meta"):

        def tensor(key, case=case):
            return torch.from_numpy(vectors[f"{case}_{key}"]).to(dtype)

        batch, _, _, iterations = vectors[f"{case}_meta"].tolist()
        epsilon, temperature = vectors[f"{case}_epsilon_T"].tolist()
        crops = vectors[f"{case}_crops_for_assign"].tolist()
        weight = tensor("W_raw")
        normalise_rows(weight)
        weight.requires_grad_()
        z = tensor("z").requires_grad_()
        raw = f"{case}_grad_emb" in vectors
        embeddings = torch.nn.functional.normalize(z, dim=1) if raw else z * 1
        embeddings.retain_grad()
        queue = tensor("queue_in") if f"{case}_queue_in" in vectors else None
        codes = assignments(embeddings, weight, batch, crops, queue, epsilon, iterations)
        loss = swapped_prediction(embeddings @ weight.T, codes, crops, temperature)
        loss.backward()

        name = f"{case} {'float64' if exact else 'float32'}"
        ours = {"W_norm": weight, "loss": loss}
        ours |= {f"q{place}": code for place, code in enumerate(codes)}
        if queue is not None:
            ours["queue_out"] = queue
        slopes = {"grad_z": z.grad, "grad_W": weight.grad}
        if raw:
            slopes["grad_emb"] = embeddings.grad
        for key, value in ours.items():
            tolerance = close if key == "loss" or exact else {"rtol": 1e-4, "atol": 1e-5}
            reference = vectors[f"{case}_{key}"]
            vectors.compare(f"{name} {key}", value.detach().numpy(), reference, **tolerance)
        for key, value in slopes.items():
            vectors.compare(f"{name} {key}", value.numpy(), vectors[f"{case}_{key}"], **loose)


def test_steps_with_queue_freezing_and_larc_are_those_of_the_reference(golden):
    vectors = golden("swav_steps.npz")
    batch, width, _, iterations, frozen, length = vectors["meta"].tolist()
    epsilon, temperature, decay = vectors["epsilon_T_wd"].tolist()
    crops = vectors["crops_for_assign"].tolist()
    weight = torch.nn.Parameter(torch.from_numpy(vectors["W0"].copy()))
    optimizer = LARC([weight], lr=1.0, momentum=0.9, weight_decay=decay, trust=0.001)
    queue = torch.zeros(len(crops), length, width)
    tolerance = {"rtol": 5e-4, "atol": 1e-5}
    for step, lr in enumerate(vectors["lr"].tolist()):
        optimizer.param_groups[0]["lr"] = lr
        normalise_rows(weight)
        used = weight.detach().clone()
        z = torch.from_numpy(vectors[f"z_step{step}"])
        embeddings = torch.nn.functional.normalize(z, dim=1)
        codes = assignments(embeddings, weight, batch, crops, queue, epsilon, iterations)
        loss = swapped_prediction(embeddings @ weight.T, codes, crops, temperature)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if step < frozen:
            weight.grad = None
        # The reference writes NaN where a frozen prototype has no gradient.
        slope = np.full(weight.shape, np.nan) if weight.grad is None else weight.grad.numpy().copy()
        optimizer.step()
        ours = {
            "loss": loss.item(),
            "W_used": used.numpy(),
            "W_after": weight.detach().numpy(),
            "queue_after": queue.numpy(),
            "grad_W": slope,
        }
        for key, value in ours.items():
            vectors.compare(f"{key} {step}", value, vectors[f"{key}_step{step}"], **tolerance)


def test_larc_steps_are_those_of_the_reference(golden):
    vectors = golden("swav_larc.npz")
    names = vectors.cases("init")
    steps = len(vectors["lr"])
    for case in vectors.cases("hyper"):
        trust, clip, decay, momentum = vectors[f"{case}_hyper"].tolist()
        tensors = {n: torch.nn.Parameter(torch.tensor(vectors[f"{n}_init"])) for n in names}
        kind = {"lr": 1.0, "momentum": momentum, "weight_decay": decay}
        optimizer = LARC(tensors.values(), trust=trust, clip=bool(clip), **kind)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = float(vectors["lr"][step])
            for name, tensor in tensors.items():
                tensor.grad = torch.from_numpy(vectors[f"{name}_grad{step}"].copy())
            # The description of the file: in step 3 the second weight is given no gradient.
            if step == 3:
                tensors["W2"].grad = None
            optimizer.step()
            for name, tensor in tensors.items():
                reference = vectors[f"{case}_{name}_after{step}"]
                ours = tensor.detach().numpy()
                vectors.compare(f"{case} {name} step {step}", ours, reference, 1e-5, 1e-6)


def test_learning_rates_are_those_of_the_reference(golden):
    vectors = golden("swav_lr.npz")
    for case in vectors.cases("args"):
        per_epoch, epochs, warmup, base, final, start = vectors[f"{case}_args"].tolist()
        steps, ramp = round(per_epoch * epochs), round(per_epoch * warmup)
        ours = swav_schedule(steps, ramp, base, final, start)
        vectors.compare(f"{case} lr", ours, vectors[f"{case}_lr"], rtol=1e-12)
