"""Opens a data set with FiftyOne, in the environment of FiftyOne; prints what it finds as JSON."""

import json
import sys

import fiftyone
from fiftyone import ViewField
from fiftyone.core.utils import to_slug


def found(folder: str, method: str) -> dict[str, object]:
    data = fiftyone.Dataset.from_dir(folder, dataset_type=fiftyone.types.FiftyOneDataset)
    chosen = data.match(ViewField(f"{method}.label") == "chosen").first()
    represented = ViewField(f"{method}.represented_by") == chosen.image_id
    data.compute_metadata()
    saved = data._doc.saved_views
    return {
        "labels": data.count_values(f"{method}.label"),
        "classes": data.count_values("ground_truth.label"),
        "tags": data.count_values("tags"),
        "views": {name: len(data.load_saved_view(name)) for name in data.list_saved_views()},
        "slugs_fit": [view.slug == to_slug(view.name) for view in saved],
        "ranks": data.load_saved_view(f"chosen by {method}").values(f"{method}.rank"),
        "represents": [chosen[method].represents, len(data.match(represented))],
        "sizes": sorted({(each.width, each.height) for each in data.values("metadata")}),
        "fields": sorted(data.get_field_schema(flat=True)),
    }


if __name__ == "__main__":
    print(json.dumps(found(sys.argv[1], sys.argv[2])))
