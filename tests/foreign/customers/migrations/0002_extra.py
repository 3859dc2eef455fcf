from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("customers", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="customer",
            name="extra",
            field=models.JSONField(blank=True, db_default={}, default=dict, editable=False),
        ),
    ]
