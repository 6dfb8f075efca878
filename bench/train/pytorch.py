"""The networks of networks.ts in PyTorch, driven by run.ts over standard input and output, a JSON object a line."""
import json
import resource
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F


def block(x, w, heads=3):
    """A pre-norm block of a vision transformer; weights of linear maps are [from, to]."""
    n1w, n1b, qkvw, qkvb, projw, projb, n2w, n2b, fc1w, fc1b, fc2w, fc2b = w
    batch, tokens, width = x.shape
    y = F.layer_norm(x, (width,), n1w, n1b, 1e-6)
    qkv = F.linear(y, qkvw.t(), qkvb).reshape(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.unbind(0)
    attention = ((q * (width // heads) ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1)
    y = (attention @ v).transpose(1, 2).reshape(batch, tokens, width)
    x = x + F.linear(y, projw.t(), projb)
    y = F.layer_norm(x, (width,), n2w, n2b, 1e-6)
    return x + F.linear(F.gelu(F.linear(y, fc1w.t(), fc1b)), fc2w.t(), fc2b)


def transformer(w, x, target):
    for i in range(3):
        x = block(x, w[12 * i : 12 * i + 12])
    narrow, narrow_bias, widen, widen_bias = w[36:40]
    x = F.linear(F.linear(x, narrow.t(), narrow_bias), widen.t(), widen_bias)
    for i in range(3):
        x = block(x, w[40 + 12 * i : 52 + 12 * i])
    return F.mse_loss(x, target)


def tail(w, x, labels):
    norm_weight, norm_bias, head_weight, head_bias = w[-4:]
    for i in range(0, len(w) - 4, 12):
        x = block(x, w[i : i + 12])
    x = F.layer_norm(x, (x.shape[-1],), norm_weight, norm_bias, 1e-6)[:, 0]
    return F.cross_entropy(F.linear(x, head_weight, head_bias), labels[:, 0])


def convolutions(w, x, labels):
    for i, stride in enumerate((1, 2, 1, 2)):
        x = F.relu(F.conv2d(x, w[2 * i], w[2 * i + 1], stride=stride, padding=1))
    return F.cross_entropy(F.linear(x.mean((2, 3)), w[8], w[9]), labels[:, 0])


NETWORKS = {"transformer": transformer, "tail": tail, "convolutions": convolutions}


def read(tensors):
    return [torch.from_numpy(np.fromfile(t["path"], t["dtype"]).reshape(t["shape"])) for t in tensors]


class Trainer:
    def __init__(self, network, weights, feeds):
        self.network = NETWORKS[network]
        self.weights = [w.requires_grad_() for w in read(weights)]
        self.feeds = read(feeds)
        self.optimizer = torch.optim.AdamW(self.weights, lr=1e-4, weight_decay=0.05)

    def gradients(self):
        for w in self.weights:
            w.grad = None
        loss = self.network(self.weights, *self.feeds)
        loss.backward()
        return loss

    def step(self):
        loss = self.gradients()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        return loss.item()


def main():
    trainers = {}
    for line in sys.stdin:
        ask = json.loads(line)
        if ask["do"] == "versions":
            torch.set_num_threads(ask["threads"])
            # The library that is loaded: its build may only say "generic".
            with open("/proc/self/maps") as maps:
                blas = sorted({line.split()[-1].split("/")[-1] for line in maps if "blas" in line})
            answer = {"blas": blas, "torch": torch.__version__}
        elif ask["do"] == "make":
            trainers[ask["network"]] = Trainer(ask["network"], ask["weights"], ask["feeds"])
            answer = {}
        else:
            times, cpus, losses = [], [], []
            for _ in range(ask["steps"]):
                start, cpu = time.perf_counter(), time.process_time()
                losses.append(trainers[ask["network"]].step())
                times.append(1000 * (time.perf_counter() - start))
                cpus.append(1000 * (time.process_time() - cpu))
            answer = {"times": times, "cpu": cpus, "losses": losses}
        answer["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps(answer), flush=True)


main()
