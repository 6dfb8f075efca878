"""PyTorch's weights after each of some steps on a quadratic loss; `python3 test/train/optimizer.py > test/train/optimizer.json`."""
import json
import torch

STEPS = 6
CASES = {
    "adamw": (torch.optim.AdamW, dict(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1), None),
    "adamw, clipped": (torch.optim.AdamW, dict(lr=0.05, weight_decay=0), 0.5),
    "sgd": (torch.optim.SGD, dict(lr=0.05), None),
    "sgd with momentum": (torch.optim.SGD, dict(lr=0.02, momentum=0.9), 2),
    "sgd with Nesterov's": (torch.optim.SGD, dict(lr=0.02, momentum=0.9, nesterov=True), None),
}

torch.set_default_dtype(torch.float64)
results = {}
for name, (make, options, clip) in CASES.items():
    w = torch.tensor([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]], requires_grad=True)
    b = torch.tensor([0.1, -0.4], requires_grad=True)
    x = torch.tensor([[1.0, 2.0, -1.0], [0.5, -1.5, 2.0], [-2.0, 0.25, 1.0]])
    optimizer = make([w, b], **options)
    steps = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = ((x @ w.T + b) ** 2).mean()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([w, b], clip or 1e9)
        optimizer.step()
        steps.append(dict(loss=loss.item(), norm=norm.item(), w=w.flatten().tolist(), b=b.tolist()))
    results[name] = steps
print(json.dumps(dict(torch=torch.__version__, cases=results), indent=1))
