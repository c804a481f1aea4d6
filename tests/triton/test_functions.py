"""What Triton's language lacks, function by function in the interpreter, against torch in float64 or Python's ints."""

import importlib.util
import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import attnc

from .workers import run

SOURCE = Path(attnc.__file__).parent / "codegen" / "triton" / "functions.py"
KERNEL = '''

@triton.jit
def apply_{name}({pointers}, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, {name}({values}))
'''


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """A file of the functions and a kernel for each: Triton reads kernels from files."""
    text = SOURCE.read_text()
    for name, arguments in re.findall(r"\ndef (\w+)\((.*)\):", text):
        names = arguments.split(", ")
        values = ", ".join(f"tl.load({name} + place)" for name in names)
        text += KERNEL.format(name=name, pointers=", ".join(names), values=values)
    path = tmp_path_factory.mktemp("functions") / "kernels.py"
    path.write_text(text)
    return str(path)


@cache
def imported(path):
    spec = importlib.util.spec_from_file_location("kernels_of_functions", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def applied(path, name, arrays, dtype):
    """A function's values, computed by one program."""
    np.seterr(all="ignore")
    count = len(arrays[0])
    size = 1 << (count - 1).bit_length()
    given = [torch.from_numpy(np.pad(array, (0, size - count), constant_values=1)) for array in arrays]
    out = torch.empty(size, dtype=getattr(torch, dtype))
    getattr(imported(path), f"apply_{name}")[(1,)](*given, out, SIZE=size)
    return out[:count].numpy()


def call(module, name, *given, dtype=None):
    found = run("interpreter", applied, module, name, [x.numpy() for x in given], dtype or str(given[0].dtype)[6:])
    return torch.from_numpy(found)


# --- floating functions ----------------------------------------------------------------------------------------------


def spread(low, high, count=4000):
    return torch.linspace(low, high, count)


def powers(low, high, count=4000):
    """Of 10, with both signs."""
    found = torch.logspace(low, high, count // 2)
    return torch.cat([found, -found])


def units(found, exact, size=None):
    """Errors in units of the last place of the exact value, or of a larger size that entered it."""
    size = exact.abs() if size is None else torch.maximum(exact.abs(), size.double())
    unit = torch.exp2(torch.floor(torch.log2(size)).clamp(min=-126) - 23)
    finite = torch.isfinite(exact) & (exact.abs() < 3.4e38)
    return torch.where(finite, (found.double() - exact).abs() / unit, torch.zeros(()))

def report(name, u, *x):
    i = int(u.argmax()); print("UNITS", name, float(u.max()), [float(t[i]) for t in x])

one = {
 "expm1": (torch.cat([spread(-20,88), spread(-1,1), powers(-40,-1)]), torch.expm1),
 "log1p": (torch.cat([spread(-0.9999999,10), powers(-40,-1), torch.logspace(0,38,1000)]), torch.log1p),
 "tanh": (torch.cat([spread(-20,20), spread(-1,1), powers(-40,2)]), torch.tanh),
 "softplus": (torch.cat([spread(-100,100), spread(-1,1), powers(-40,2)]), lambda x: torch.logaddexp(x, torch.zeros((),dtype=x.dtype))),
 "log_sigmoid": (torch.cat([spread(-100,100), spread(-1,1), powers(-40,2)]), torch.nn.functional.logsigmoid),
 "sign": (powers(-40,38), torch.sign), "relu": (powers(-40,38), torch.relu), "round_even": (torch.cat([spread(-20,20,4001)*1, torch.arange(-50,51)/2, powers(-10,30)]), torch.round),
}
SPECIAL = torch.tensor([0.0,-0.0,math.inf,-math.inf,math.nan,1e-45,-1e-45,1e-38,3e38,-3e38,1.0,-1.0,2.0,-2.0,0.5,-0.5,1.5,2.5,-1.5, 3.0,-3.0])

@pytest.mark.parametrize("name", one)
def test_one(module, name):
    x, f = one[name]
    found = call(module, name, x)
    report(name, units(found, f(x.double())), x, found)
    s = call(module, name, SPECIAL); e=f(SPECIAL.double())
    for a,b,c in zip(SPECIAL.tolist(), s.tolist(), e.float().tolist()):
        if not (b==c or (b!=b and c!=c)) : print("SPECIAL",name,a,b,c)

def test_atan2(module):
    g=torch.Generator().manual_seed(0)
    y,x=torch.randn(8000,generator=g),torch.randn(8000,generator=g)
    y=torch.cat([y,powers(-38,38,4000)]);x=torch.cat([x,powers(-38,38,4000)[torch.randperm(4000,generator=g)]])
    found=call(module,"atan2",y,x); report("atan2",units(found,torch.atan2(y.double(),x.double())),y,x,found)
    y,x=(t.flatten() for t in torch.meshgrid(SPECIAL,SPECIAL,indexing="ij"))
    s=call(module,"atan2",y,x);e=torch.atan2(y.double(),x.double())
    for a,b,c,d in zip(y.tolist(),x.tolist(),s.tolist(),e.float().tolist()):
        if not (abs(c-d)<1e-5 or (c!=c and d!=d)) : print("SPECIAL atan2",a,b,c,d)

def test_power(module):
    g=torch.Generator().manual_seed(0)
    x=torch.cat([torch.logspace(-44,38,4000),torch.rand(4000,generator=g)*2, 1+torch.randn(4000,generator=g)*1e-3])
    y=torch.cat([torch.randn(4000,generator=g)*3,torch.randn(4000,generator=g)*30, torch.randn(4000,generator=g)*1e4])
    found=call(module,"power",x,y); report("power",units(found,torch.pow(x.double(),y.double())),x,y,found)
    y=torch.round(torch.randn(4000,generator=g)*10); x=-torch.rand(4000,generator=g)*5
    found=call(module,"power",x,y); report("power-",units(found,torch.pow(x.double(),y.double())),x,y,found)
    y,x=(t.flatten() for t in torch.meshgrid(SPECIAL,SPECIAL,indexing="ij"))
    s=call(module,"power",x,y);e=torch.pow(x.double(),y.double())
    for a,b,c,d in zip(x.tolist(),y.tolist(),s.tolist(),e.float().tolist()):
        if not (abs(c-d)<=1e-5*abs(d) or c==d or (c!=c and d!=d)) : print("SPECIAL power",a,b,c,d)

def test_logaddexp(module):
    g=torch.Generator().manual_seed(0)
    a=torch.randn(8000,generator=g)*10;b=torch.cat([torch.randn(4000,generator=g)*10,a[4000:]+torch.randn(4000,generator=g)])
    f=call(module,"logaddexp",a,b); e=torch.logaddexp(a.double(),b.double()); report("logaddexp",units(f,e,torch.maximum(a.abs(),b.abs())),a,b,f)
    y,x=(t.flatten() for t in torch.meshgrid(SPECIAL,SPECIAL,indexing="ij"))
    s=call(module,"logaddexp",x,y);e=torch.logaddexp(x.double(),y.double())
    for a,b,c,d in zip(x.tolist(),y.tolist(),s.tolist(),e.float().tolist()):
        if not (abs(c-d)<=1e-5*abs(d) or c==d or (c!=c and d!=d)) : print("SPECIAL logaddexp",a,b,c,d)

def test_float_mod(module):
    g=torch.Generator().manual_seed(0)
    a=torch.randn(8000,generator=g)*100;b=torch.randn(8000,generator=g)
    a=torch.cat([a, torch.arange(-2000,2000)*0.1]); b=torch.cat([b, torch.full((2000,),0.1),torch.full((2000,),-0.3)])
    f=call(module,"float_mod",a,b); e=torch.remainder(a.double(),b.double())
    d=(f.double()-e).abs(); d=torch.minimum(d,(d-b.abs()).abs())
    report("float_mod circle",units(e+d,e,a),a,b,f)
    report("float_mod",units(f,e,a),a,b,f)
    bad=(f!=0)&((f<0)!=(b<0)); print("UNITS wrong sign",int(bad.sum()), a[bad][:5],b[bad][:5],f[bad][:5], "beyond", int((f.abs()>=b.abs()).sum()))
    y,x=(t.flatten() for t in torch.meshgrid(SPECIAL,SPECIAL,indexing="ij"))
    s=call(module,"float_mod",x,y);e=torch.remainder(x.double(),y.double())
    for a,b,c,d in zip(x.tolist(),y.tolist(),s.tolist(),e.float().tolist()):
        if not (abs(c-d)<=1e-5*abs(d) or c==d or (c!=c and d!=d)) : print("SPECIAL mod",a,b,c,d)

def test_log2(module):
    x=torch.cat([torch.logspace(-44,38,8000),spread(0.5,2),1+torch.tensor([2.0**-23,-2.0**-24])])
    f=call(module,"log2_wide",x,dtype="float64"); e=torch.log2(x.double())
    d=((f-e).abs()/e.abs().clamp(min=1e-30)); i=int(torch.where(e==0,0,d).argmax()); print("UNITS log2 rel",float(d[i])*2**52, float(x[i]), "at one", float(f[e==0].abs().max()) if (e==0).any() else None)
    print("SPECIAL", call(module,"finite_or",SPECIAL,torch.full_like(SPECIAL,7.0)))
