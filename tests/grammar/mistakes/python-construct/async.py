# ruff: noqa
async def spec():
    return q
